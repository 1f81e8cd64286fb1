import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { CliError } from "../cli-error.ts";
import { childEnvironment } from "../config.ts";

/** Last lines of a child's stderr that are kept for the report of its death, and their length. */
const STDERR_LINES_MAX = 5;
const STDERR_LINE_CHARS_MAX = 400;

/** How long a child has to stop by itself, in milliseconds; then it is killed. */
const STOP_MS = 5_000;

interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly stderr: string[];
  readonly exited: Promise<void>;
  /** It was told to end, and another one takes its place. */
  isReplaced: boolean;
}

/**
 * The processes of the demo.
 *
 * Each has an IPC channel to us: it is how a child notices that we are gone (end-with-parent.ts).
 */
export class Children {
  readonly #children = new Set<Child>();
  readonly #death = Promise.withResolvers<never>();
  readonly #stopMs: number;
  #isStopping = false;

  constructor(stopMs = STOP_MS) {
    this.#stopMs = stopMs;
    this.#death.promise.catch(() => {});
  }

  /** Rejects with `child-died` when one ends that was not told to. */
  get death(): Promise<never> {
    return this.#death.promise;
  }

  /** The ids of those that run. */
  get pids(): number[] {
    return [...this.#children].flatMap((child) => child.process.pid ?? []);
  }

  /** Starts `script` under this same Node. */
  start(name: string, script: string, args: readonly string[]): void {
    const spawned = spawn(process.execPath, [...process.execArgv, script, ...args], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: childEnvironment(),
    });
    const stderr = keepLastLines(spawned);
    const exited = Promise.withResolvers<void>();
    const child: Child = {
      name,
      process: spawned,
      stderr,
      exited: exited.promise,
      isReplaced: false,
    };
    this.#children.add(child);
    spawned.once("error", (error) => this.#died(child, error.message, exited.resolve));
    // "close" comes after the last byte of stderr, "exit" may come before it.
    spawned.once("close", (code, signal) => {
      this.#died(child, signal === null ? `code ${code}` : signal, exited.resolve);
    });
  }

  /** Asks all those whose name passes to stop, waits for them, and kills who does not in time. */
  async stop(isMeant: (name: string) => boolean = () => true): Promise<void> {
    this.#isStopping = true;
    const meant = [...this.#children].filter((child) => isMeant(child.name));
    for (const child of meant) child.process.kill("SIGTERM");
    const deadline = setTimeout(() => {
      for (const child of meant) child.process.kill("SIGKILL");
    }, this.#stopMs);
    await Promise.all(meant.map((child) => child.exited));
    clearTimeout(deadline);
  }

  /** Ends one, and starts another in its place. */
  async replace(name: string, script: string, args: readonly string[]): Promise<void> {
    const before = [...this.#children].filter((child) => child.name === name);
    for (const child of before) {
      child.isReplaced = true;
      child.process.kill("SIGTERM");
    }
    await Promise.all(before.map((child) => child.exited));
    this.start(name, script, args);
  }

  /** Ends all at once, for a user who does not want to wait. */
  kill(): void {
    for (const child of this.#children) child.process.kill("SIGKILL");
  }

  #died(child: Child, how: string, resolve: () => void): void {
    if (!this.#children.delete(child)) return;
    resolve();
    if (this.#isStopping || child.isReplaced) return;
    const last = child.stderr.length === 0 ? "it said nothing" : child.stderr.join(" | ");
    this.#death.reject(new CliError("child-died", `${child.name} ended with ${how}: ${last}`));
  }
}

function keepLastLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  if (child.stderr === null) return lines;
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line.slice(0, STDERR_LINE_CHARS_MAX));
    if (lines.length > STDERR_LINES_MAX) lines.shift();
  });
  return lines;
}
