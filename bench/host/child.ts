import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "../bench-error.ts";

/** Last characters of a child's error output that are kept to explain its end. */
const ERROR_CHARS_MAX = 4_000;

/** How to start one process. */
export interface ChildPlan {
  /** What it is called in messages. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** The one CPU that it may use; null leaves it to the kernel. */
  readonly cpu: number | null;
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that this run started. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Why it ended, with its last words; null while it runs. */
  endReason(): string | null;
}

/**
 * The processes of one run.
 *
 * Only what was started here is ever stopped, by its process id; nothing outlives the run, also
 * not when it ends by an error or a signal.
 */
export class Children {
  readonly #running = new Map<ChildProcess, RunningChild>();
  readonly #stopMs: number;
  readonly #killAll = (): void => {
    for (const child of this.#running.keys()) child.kill("SIGKILL");
  };

  /** Who is asked to stop has `stopMs` for it, and is killed then. */
  constructor(stopMs = 3_000) {
    this.#stopMs = stopMs;
  }

  /** Starts a process; `taskset` replaces itself by it, so that the process id stays. */
  start(plan: ChildPlan): Child {
    const pinned = plan.cpu !== null && process.platform === "linux";
    const program = pinned ? "taskset" : plan.program;
    const args = pinned ? ["-c", String(plan.cpu), plan.program, ...plan.args] : plan.args;
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...plan.env },
    });
    if (this.#running.size === 0) process.off("exit", this.#killAll).once("exit", this.#killAll);
    const running = new RunningChild(plan.name, child);
    this.#running.set(child, running);
    child.once("exit", () => this.#running.delete(child));
    child.once("error", () => this.#running.delete(child));
    return running;
  }

  /** Asks one process to stop and waits for its end. */
  async stop(stopped: Child): Promise<void> {
    for (const [child, running] of this.#running) {
      if (running === stopped) await endChild(child, this.#stopMs);
    }
  }

  /** Stops all of them; others may be started then. */
  async stopAll(): Promise<void> {
    const all = [...this.#running.keys()];
    await Promise.all(all.map((child) => endChild(child, this.#stopMs)));
    process.off("exit", this.#killAll);
  }
}

class RunningChild implements Child {
  readonly name: string;
  readonly #process: ChildProcess;
  #errorText = "";
  #failed: string | null = null;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    child.stderr?.setEncoding("utf8");
    child.stderr?.on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-ERROR_CHARS_MAX);
    });
    child.once("error", (error) => {
      this.#failed = error.message;
    });
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new BenchError(`${this.name} did not start`);
    return this.#process.pid;
  }

  endReason(): string | null {
    if (this.#failed !== null) return `${this.name} did not start: ${this.#failed}`;
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) return null;
    return `${this.name} ended (${signalCode ?? exitCode}): ${this.#errorText.trim()}`;
  }
}

async function endChild(child: ChildProcess, deadlineMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const clock = new AbortController();
  const late = sleep(deadlineMs, true, { signal: clock.signal }).catch(() => false);
  if (await Promise.race([ended.then(() => false), late])) {
    child.kill("SIGKILL");
    await ended;
  }
  clock.abort();
}
