import { extname, join } from "node:path";
import { type Address, formatAddress } from "../core/address.ts";
import { err, ok, type Result } from "../core/result.ts";
import { BIND_FAULTS, isBindError } from "./bind-error.ts";
import { ConfigError, type ProxyConfig, readProxyConfig } from "./config.ts";
import type { DrainOptions } from "./listener/listener.ts";
import { createProxy, NEVER } from "./proxy.ts";
import { hasBothSides } from "./sides.ts";
import { giveBackMemoryOfStart, keepHeapSmall } from "./small-heap.ts";
import { outliveReaders, sayTo, stderrLog } from "./stderr-log.ts";
import { checkStateDir } from "./watch/remember.ts";

/**
 * Runs a proxy until it is told to stop: configuration, start, one line when ready, drain.
 *
 * Before: own-process/main.ts, or cli/commands/proxy.ts where that cannot be. After: proxy.ts.
 * Resolves to the exit code: 0 stopped when told, 1 failed or stopped twice, 2 wrong settings, among
 * them an address that is taken and a state directory that cannot be written. The process ends soon
 * after, whoever does not read what it wrote last.
 */
export async function runProxy(
  flags: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const code = await run(flags);
  // A write that nobody takes would keep it: Node ends when nothing is left to do.
  setTimeout(() => process.exit(code), END_MS).unref();
  return code;
}

/** How long what was written last, and connections that are closing, may take. */
const END_MS = 1_000;

async function run(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  outliveReaders();
  // Before anything takes connections: a signal that nobody listens to ends the process, or, as the
  // first one of a container, is lost.
  const stop = new StopSignals();
  const code = await runUntil(stop, flags);
  stop.close();
  return code;
}

async function runUntil(
  stop: StopSignals,
  flags: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const config = readProxyConfig(flags);
  if (!config.ok) return complain(config.error.message, 2);
  keepHeapSmall();
  outliveRestarts(config.value);
  let proxy: StoppableProxy | null = null;
  void stop.second.then(() => endAtOnce(proxy, stop));
  const started = await start(flags, config.value, stop.first);
  if (!started.ok) return complain(started.error.message, started.error.exitCode);
  proxy = started.value;
  const isReady = !stop.isAsked;
  if (isReady) sayReady(config.value, proxy);
  const retireMs = await Promise.race([stop.first.then(() => null), proxy.succeeded ?? NEVER]);
  if (retireMs !== null) return await retire(proxy, retireMs, stop);
  STDERR_LOG.info(`stopping${isReady ? howToDrain(config.value) : ""}; once more ends at once`);
  await proxy.drain();
  return 0;
}

function howToDrain({ limits }: ProxyConfig): string {
  const acceptS = limits.drainAcceptMs / 1_000;
  return `: callers are told, new ones taken for ${acceptS} s, then what is in progress is finished`;
}

function sayReady(config: ProxyConfig, proxy: StoppableProxy): void {
  giveBackMemoryOfStart();
  sayTo(process.stdout, `${readyLine(config, proxy)}\n`);
  // Last of all: that one begins to stop, and from now on a signal is for this one.
  proxy.takeOver?.();
}

/** Several workers restart on these signals (supervisor.ts). Who has one is told: Node would end. */
function outliveRestarts({ workers, table }: ProxyConfig): void {
  const refuse = (why: string) => () => {
    if (workers === 1) STDERR_LOG.warn(`${why} needs --workers 2 or more`);
  };
  const reread = table === null ? "nothing is" : "the table alone is";
  process.on("SIGHUP", refuse(`SIGHUP: ${reread} read again: a restart with new settings`));
  process.on("SIGUSR2", refuse("SIGUSR2: refused: to hand over to a new process"));
}

/** A proxy of one process, or the supervisor of one with several. */
interface StoppableProxy {
  readonly listen: Address;
  readonly admin: Address | null;
  readonly outbound?: Address | null;
  /** Resolves when another process has taken over, with how long the drain may take, in milliseconds. */
  readonly succeeded?: Promise<number>;
  /** Tells the process that it takes over from, where there is one. */
  takeOver?(): void;
  drain(options?: DrainOptions): Promise<void>;
  /** Ends its workers. */
  kill?(): void;
}

/** What is open would keep the process for as long as the drain that it was to cut short. */
function endAtOnce(proxy: StoppableProxy | null, stop: StopSignals): never {
  proxy?.kill?.();
  // Node waits for its threads, and one of them may wait for a file system: the next signal is the kernel's.
  stop.close();
  process.exit(1);
}

interface StartFault {
  readonly message: string;
  readonly exitCode: number;
}

async function start(
  flags: Readonly<Record<string, string | undefined>>,
  config: ProxyConfig,
  stop: Promise<void>,
): Promise<Result<StoppableProxy, StartFault>> {
  if (config.stateDir !== null) {
    const writable = await checkStateDir(config.stateDir);
    if (!writable.ok) return err({ message: `--state-dir: ${writable.error}`, exitCode: 2 });
  }
  try {
    if (config.workers > 1) return await startWorkers(flags, config, stop);
    return ok(await createProxy(config, { log: STDERR_LOG, stop }));
  } catch (error) {
    return err(describeFault(error, config));
  }
}

/** Loaded only where there is more than one worker. */
async function startWorkers(
  flags: Readonly<Record<string, string | undefined>>,
  config: ProxyConfig,
  stop: Promise<void>,
): Promise<Result<StoppableProxy, StartFault>> {
  const { startSupervisor } = await import("./supervisor/supervisor.ts");
  // The ending is that of this file: dist/ has no TypeScript.
  const workerEntry = join(import.meta.dirname, `worker${extname(import.meta.filename)}`);
  return await startSupervisor({ flags, config, workerEntry, log: STDERR_LOG, stop });
}

/** What the operator can set right is named; anything else is ours, with its stack. */
function describeFault(error: unknown, config: ProxyConfig): StartFault {
  if (error instanceof ConfigError) return { message: error.message, exitCode: 2 };
  if (isBindError(error)) {
    const [setting, address] = boundBy(error.port, config);
    const why = BIND_FAULTS[error.code];
    return { message: `--${setting} ${formatAddress(address)}: ${why}`, exitCode: 2 };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `the proxy cannot start: ${stack}`, exitCode: 1 };
}

/** The setting that a port comes from. */
function boundBy(port: number | undefined, config: ProxyConfig): [string, Address] {
  const { admin, outbound, listen } = config;
  if (admin !== null && port === admin.port) return ["admin", admin];
  if (hasBothSides(config) && outbound !== null && port === outbound.listen.port) {
    return ["outbound-listen", outbound.listen];
  }
  return ["listen", listen];
}

function readyLine(config: ProxyConfig, proxy: StoppableProxy): string {
  const source = config.control ?? config.table ?? "nowhere";
  const beside = config.sandbox === null ? "" : `, fork of ${config.sandbox}`;
  const admin = proxy.admin === null ? "" : `, admin ${formatAddress(proxy.admin)}`;
  const calls =
    hasBothSides(config) && proxy.outbound ? `, calls at ${formatAddress(proxy.outbound)}` : "";
  const upstream = config.mode === "outbound" ? "" : `, upstream ${formatAddress(config.upstream)}`;
  return (
    `forklane proxy of ${config.workload} is ready at ${formatAddress(proxy.listen)} ` +
    `(${config.mode}${beside}${upstream}${calls}, table from ${source}${admin})`
  );
}

/** Another process takes the connections: there is time, until somebody says stop. */
async function retire(proxy: StoppableProxy, withinMs: number, stop: StopSignals): Promise<number> {
  void stop.first.then(() => proxy.drain({ accepts: false }));
  await proxy.drain({ accepts: false, withinMs });
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

  get isAsked(): boolean {
    return this.#count > 0;
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

const STDERR_LOG = stderrLog();

function complain(message: string, exitCode: number): number {
  sayTo(process.stderr, `forklane proxy: ${message}\n`);
  return exitCode;
}
