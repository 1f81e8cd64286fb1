import { formatAddress } from "../core/address.ts";
import { err, ok, type Result } from "../core/result.ts";
import { ConfigError, type ProxyConfig, readProxyConfig } from "./config.ts";
import { createProxy, type RunningProxy } from "./proxy.ts";
import { checkStateDir } from "./watch/remember.ts";

/**
 * Runs a proxy until it is told to stop: configuration, start, one line when ready, drain.
 *
 * Before: cli/commands/proxy.ts. After: proxy.ts.
 * Resolves to the exit code: 0 stopped when told, 1 failed or stopped twice, 2 wrong settings, among
 * them an address that is taken and a state directory that cannot be written.
 */
export async function runProxy(
  flags: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const config = readProxyConfig(flags);
  if (!config.ok) return complain(config.error.message, 2);
  const started = await start(config.value);
  if (!started.ok) return complain(started.error.message, started.error.exitCode);
  const stop = new StopSignals();
  process.stdout.write(`${readyLine(config.value, started.value)}\n`);
  await stop.first;
  const acceptS = config.value.limits.drainAcceptMs / 1_000;
  STDERR_LOG.info(
    `stopping: callers are told, new ones taken for ${acceptS} s, then what is in progress is finished; once more ends at once`,
  );
  const code = await Promise.race([drain(started.value), stop.second.then(() => 1)]);
  stop.close();
  return code;
}

interface StartFault {
  readonly message: string;
  readonly exitCode: number;
}

async function start(config: ProxyConfig): Promise<Result<RunningProxy, StartFault>> {
  if (config.stateDir !== null) {
    const writable = await checkStateDir(config.stateDir);
    if (!writable.ok) return err({ message: `--state-dir: ${writable.error}`, exitCode: 2 });
  }
  try {
    return ok(await createProxy(config, { log: STDERR_LOG }));
  } catch (error) {
    return err(describeFault(error, config));
  }
}

/** What the operator can set right is named; anything else is ours, with its stack. */
function describeFault(error: unknown, config: ProxyConfig): StartFault {
  if (error instanceof ConfigError) return { message: error.message, exitCode: 2 };
  if (isBindError(error)) {
    const isAdmin = config.admin !== null && error.port === config.admin.port;
    const why = BIND_FAULTS[error.code];
    const address = formatAddress(isAdmin && config.admin !== null ? config.admin : config.listen);
    return { message: `--${isAdmin ? "admin" : "listen"} ${address}: ${why}`, exitCode: 2 };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `the proxy cannot start: ${stack}`, exitCode: 1 };
}

const BIND_FAULTS = {
  EADDRINUSE: "another process listens there; stop it, or give another port",
  EACCES: "this user may not listen there; ports below 1024 need a privilege",
  EADDRNOTAVAIL: "this machine has no such address",
} as const;

interface BindError extends Error {
  readonly code: keyof typeof BIND_FAULTS;
  readonly port?: number;
}

function isBindError(error: unknown): error is BindError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    Object.hasOwn(BIND_FAULTS, error.code)
  );
}

function readyLine(config: ProxyConfig, proxy: RunningProxy): string {
  const source = config.control ?? config.table ?? "nowhere";
  const beside = config.sandbox === null ? "" : `, fork of ${config.sandbox}`;
  const admin = proxy.admin === null ? "" : `, admin ${formatAddress(proxy.admin)}`;
  return (
    `forklane proxy of ${config.workload} is ready at ${formatAddress(proxy.listen)} ` +
    `(${config.mode}${beside}, upstream ${formatAddress(config.upstream)}, table from ${source}${admin})`
  );
}

async function drain(proxy: RunningProxy): Promise<number> {
  await proxy.drain();
  return 0;
}

/** The first signal asks for a drain, the second one for an end. */
class StopSignals {
  readonly #first = Promise.withResolvers<void>();
  readonly #second = Promise.withResolvers<void>();
  #count = 0;
  readonly #signal = () => {
    this.#count++;
    if (this.#count === 1) this.#first.resolve();
    else this.#second.resolve();
  };

  constructor() {
    process.on("SIGTERM", this.#signal);
    process.on("SIGINT", this.#signal);
  }

  get first(): Promise<void> {
    return this.#first.promise;
  }

  get second(): Promise<void> {
    return this.#second.promise;
  }

  close(): void {
    process.off("SIGTERM", this.#signal);
    process.off("SIGINT", this.#signal);
  }
}

/** What an operator should know, a line each; standard output is for the access log. */
const STDERR_LOG = {
  info: (message: string) => writeLine("info", message),
  warn: (message: string) => writeLine("warn", message),
};

function writeLine(level: string, message: string): void {
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`);
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`forklane proxy: ${message}\n`);
  return exitCode;
}
