/**
 * Runs control as a process: settings in, exit code out.
 *
 * Before: cli/commands/control.ts. After: server.ts.
 */
import { type ControlFlags, readControlConfig } from "./config.ts";
import { type Control, createControl } from "./server.ts";
import { StoreOpenError } from "./store/store.ts";

/** Exit codes: a clean stop, a failure, a wrong setting. */
const STOPPED = 0;
const FAILED = 1;
const WRONG_SETTING = 2;

/** Runs until SIGTERM or SIGINT and returns the exit code; prints one line once it listens. */
export async function runControl(flags: ControlFlags): Promise<number> {
  const config = readControlConfig(flags);
  if (!config.ok) return complain(config.error, WRONG_SETTING);
  const signalled = nextStopSignal();
  let control: Control;
  try {
    control = await createControl(config.value);
  } catch (error) {
    return complain(...startFailure(error, config.value.listen.port));
  }
  process.stdout.write(`forklane control listens on ${control.url}\n`);
  await signalled;
  await control.close();
  return STOPPED;
}

/** A second signal does not wait for a clean stop. */
function nextStopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => resolve());
    }
  });
}

function startFailure(error: unknown, port: number): [why: string, exitCode: number] {
  if (error instanceof StoreOpenError) return [`data: ${error.message}`, WRONG_SETTING];
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    return [`listen: port ${port} is taken; free it or name another with --listen`, WRONG_SETTING];
  }
  if (code === "EACCES" || code === "EADDRNOTAVAIL") {
    return [`listen: ${message}; name another address with --listen`, WRONG_SETTING];
  }
  return [message, FAILED];
}

function complain(why: string, exitCode: number): number {
  process.stderr.write(`forklane control: ${why}\n`);
  return exitCode;
}
