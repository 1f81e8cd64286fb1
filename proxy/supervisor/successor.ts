import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { bequeath } from "./config.ts";
import type { ListeningSocket } from "./listening-socket.ts";

/** How long the next generation may take to be ready, in milliseconds. */
export const SUCCESSOR_START_MS = 60_000;

/** Where it finds the pipe by which it says that it is ready, and the sockets: behind the three that all have. */
const READY_FD = 3;
const LISTEN_FD = 4;
const ADMIN_FD = 5;

/** What is handed down. */
export interface Estate {
  /** Of the one that is to come: 2 for the first successor. */
  readonly generation: number;
  readonly listen: ListeningSocket;
  readonly admin: ListeningSocket | null;
}

/**
 * The next generation of the whole proxy: this command once more, from the code that is on disk now,
 * with the listening sockets of this one.
 *
 * Before: supervisor.ts. After: proxy/main.ts, in the new process.
 */
export class Successor {
  /** Resolves with null once it takes connections; else with why it does not. */
  readonly ready: Promise<string | null>;
  readonly #child: ChildProcess;

  constructor({ generation, listen, admin }: Estate) {
    const inheritance = {
      generation,
      listen: { configured: listen.configured, bound: listen.bound, fd: LISTEN_FD },
      admin: admin && { configured: admin.configured, bound: admin.bound, fd: ADMIN_FD },
    };
    const sockets = admin === null ? [listen.fd] : [listen.fd, admin.fd];
    const stdio: StdioOptions = ["ignore", "inherit", "inherit", "pipe", ...sockets];
    const [, ...command] = process.argv;
    this.#child = spawn(process.execPath, [...process.execArgv, ...command], {
      stdio,
      env: bequeath(inheritance),
    });
    this.ready = this.#untilReady();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends one that is not wanted any more; its workers end with it. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #untilReady(): Promise<string | null> {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const late = setTimeout(
      () => resolve(`it is not ready after ${SUCCESSOR_START_MS / 1_000} s`),
      SUCCESSOR_START_MS,
    );
    this.#child.on("error", (error) => resolve(error.message));
    this.#child.once("exit", (code, signal) => resolve(`it ended (${signal ?? `exit ${code}`})`));
    // A channel of Node's would end it with us: a command that is started with one does so. Without
    // enough files there is a child without any pipe, and then an error.
    const stdio: ChildProcess["stdio"] | undefined = this.#child.stdio;
    const pipe = stdio?.[READY_FD];
    pipe?.on("data", () => resolve(null));
    pipe?.on("error", () => undefined);
    return promise.finally(() => {
      clearTimeout(late);
      pipe?.destroy();
      // It outlives this process, which does not wait for its end.
      this.#child.unref();
    });
  }
}

/** Tells the generation before that this one takes connections. It may be gone: then nobody is told. */
export function tellPredecessor(): void {
  try {
    writeSync(READY_FD, "ready");
    closeSync(READY_FD);
  } catch {
    // This one is the proxy, whoever hears of it.
  }
}
