import { ControlClient, ControlProblem, ControlUnreachable } from "../control/client/client.ts";
import { CliError } from "./cli-error.ts";
import { DEFAULT_CONTROL } from "./config.ts";
import { readControlUrl } from "./option-values.ts";

/**
 * Asks control, and turns what goes wrong into what the user is told: `control-unreachable` with
 * what to start, or control's own problem, whose code passes through.
 */
export async function askControl<T>(
  url: string,
  ask: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = new ControlClient({ url: checkUrl(url) });
  try {
    return await ask(client);
  } catch (error) {
    throw explained(error, url);
  } finally {
    await client.close();
  }
}

/** `--control` was read before; what FORKLANE_CONTROL says was not. */
function checkUrl(url: string): string {
  try {
    return readControlUrl(url);
  } catch (cause) {
    const fix = `write it as ${DEFAULT_CONTROL}`;
    throw new CliError("usage", `FORKLANE_CONTROL is "${url}", which is no URL`, { fix, cause });
  }
}

function explained(error: unknown, url: string): unknown {
  if (error instanceof ControlProblem) return CliError.ofControl(error);
  if (!(error instanceof ControlUnreachable)) return error;
  const fix = `start it with "forklane control" or "forklane start", or say where it is with --control URL`;
  return new CliError("control-unreachable", `no control at ${url}: ${whyOf(error)}`, {
    fix,
    cause: error,
  });
}

function whyOf({ cause, message }: ControlUnreachable): string {
  if (!(cause instanceof Error)) return message;
  const { code } = cause as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" ? "nothing listens there" : cause.message || (code ?? message);
}
