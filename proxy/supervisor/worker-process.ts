import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import type { Readable } from "node:stream";
import { err, ok, type Result } from "../../core/result.ts";
import type { FromWorker, Settings, ToWorker } from "./messages.ts";
import { Outbox } from "./outbox.ts";

/** How long a worker may take to accept connections, in milliseconds: machines are busy at a start. */
const START_MS = 30_000;

/** What a worker may need past its drain, in milliseconds: to hand over what it holds. */
const GOODBYE_MS = 5_000;

/** Why a worker does not take connections. */
export interface WorkerFault {
  readonly message: string;
  /** What the command exits with if it is its first one: 2 for what the operator can set right. */
  readonly exitCode: number;
}

/** What a worker is started with, and whom it tells. */
export interface WorkerOptions {
  /** Path of the module to run. */
  readonly entry: string;
  readonly listenFd: number;
  readonly settings: Settings;
  /** From 1: its place among the workers. */
  readonly index: number;
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  /** Lines of its standard output: the access log. */
  onOutput(stdout: Readable): void;
}

/**
 * One worker as the supervisor sees it: a child process with a channel, from its start to its end.
 *
 * Before: workers.ts. After: proxy/worker.ts, in the child.
 * Invariant: where the system gives no process, the worker has ended; nothing is thrown.
 */
export class WorkerProcess {
  readonly index: number;
  readonly startedAtMs = performance.now();
  /** Resolves once: it takes connections (null), or why it does not. */
  readonly accepting: Promise<WorkerFault | null>;
  /** Resolves with how it ended, as text; null in good order. */
  readonly ended: Promise<string | null>;
  isAccepting = false;
  /** Whether it ever took connections. */
  hasServed = false;
  isDraining = false;
  hasEnded = false;
  /** Null where none could be started. */
  readonly #child: ChildProcess | null;
  readonly #outbox = new Outbox((message, onSent) => this.#child?.send(message, onSent));
  /** Runs while it drains. */
  #late: NodeJS.Timeout | undefined;
  readonly #settleStart: (fault: WorkerFault | null) => void;

  constructor(options: WorkerOptions) {
    this.index = options.index;
    const started = startChild(options);
    this.#child = started.ok ? started.value : null;
    const start = Promise.withResolvers<WorkerFault | null>();
    this.accepting = start.promise;
    const late = setTimeout(() => this.#isLate(), START_MS);
    this.#settleStart = (fault) => {
      clearTimeout(late);
      start.resolve(fault);
    };
    this.ended = this.#watchEnd(started);
    this.#child?.on("message", (message: FromWorker) => {
      this.#take(message);
      options.onMessage(this, message);
    });
    // Without enough files there is a child without any pipe, and then an error.
    const stdout: Readable | null | undefined = this.#child?.stdout;
    if (stdout) options.onOutput(stdout);
    this.send({ kind: "start", settings: options.settings, index: options.index });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get state(): "starting" | "accepting" | "draining" {
    if (this.isDraining) return "draining";
    return this.isAccepting ? "accepting" : "starting";
  }

  /** Sends, or drops it where the worker is gone: its end is told elsewhere. */
  send(message: ToWorker): void {
    if (this.#child?.connected) this.#outbox.send(message);
  }

  /** Asks it to finish what is in progress, and to end; who clings on is killed. */
  drain(accepts: boolean, withinMs: number): void {
    this.isDraining = true;
    this.send({ kind: "drain", accepts, withinMs });
    clearTimeout(this.#late);
    if (!this.hasEnded) this.#late = setTimeout(() => this.kill(), withinMs + GOODBYE_MS);
  }

  /** Ends it without a word. */
  kill(): void {
    this.isDraining = true;
    this.#child?.kill("SIGKILL");
  }

  #take(message: FromWorker): void {
    if (message.kind === "accepting") {
      this.isAccepting = true;
      this.hasServed = true;
      this.#settleStart(null);
    } else if (message.kind === "failed") {
      this.#settleStart({ message: message.message, exitCode: message.exitCode });
    }
  }

  #isLate(): void {
    this.#settleStart({
      message: `it does not take connections after ${START_MS / 1_000} s`,
      exitCode: 1,
    });
    this.kill();
  }

  #watchEnd(started: Result<ChildProcess, string>): Promise<string | null> {
    return new Promise((resolve) => {
      const end = (how: string | null) => {
        this.hasEnded = true;
        clearTimeout(this.#late);
        this.isAccepting = false;
        this.#settleStart({ message: `it ended at its start: ${how ?? "exit 0"}`, exitCode: 1 });
        resolve(how);
      };
      if (!started.ok) {
        end(started.error);
        return;
      }
      const child = started.value;
      child.on("error", (error) => {
        if (child.pid === undefined) end(error.message);
      });
      // What it wrote and sent before its end has been read by then.
      child.once("close", (code, signal) => {
        if (signal !== null) end(signal);
        else end(code === 0 ? null : `exit ${code}`);
      });
    });
  }
}

/** The error says what the system lacks: memory, processes. */
function startChild({ entry, listenFd }: WorkerOptions): Result<ChildProcess, string> {
  try {
    const stdio: StdioOptions = ["ignore", "pipe", "inherit", "ipc", listenFd];
    return ok(fork(entry, [], { stdio, serialization: "advanced", execArgv: nodeFlags() }));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Those of this process, behind what a proxy in a process of its own has (own-process/become.ts). */
function nodeFlags(): string[] {
  const flag = "--disable-sigusr1";
  const { execArgv } = process;
  return execArgv.includes(flag) ? execArgv : [flag, ...execArgv];
}
