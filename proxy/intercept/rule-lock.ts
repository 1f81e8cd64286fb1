import { connect, createServer, type Server } from "node:net";
import { InterceptError } from "./intercept-error.ts";

/** What the holder of the lock does: changes rules once, or watches over them until it is stopped. */
export type LockUse = "once" | "watching";

/** How long one that changes rules once is waited for: it waits itself for the kernel's lock. */
const LOCK_WAIT_MS = 15_000;
const LOCK_POLL_MS = 50;

/**
 * An abstract socket (unix(7)): it belongs to the network namespace, as the rules do, needs no file,
 * and the kernel drops it with its process, however that ends.
 */
const LOCK_NAME = "\0forklane-intercept";

/**
 * The right to change rules in this network namespace. Two that look at once at what stands would
 * both write what was right before the other.
 */
export class RuleLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * Waits for its turn. Rejects with an InterceptError if a process watches over the rules, or if
   * another one does not end.
   */
  static async take(use: LockUse, waitMs = LOCK_WAIT_MS): Promise<RuleLock> {
    const endMs = performance.now() + waitMs;
    for (;;) {
      const server = await listen(use);
      if (server !== null) return new RuleLock(server);
      if ((await askHolder()) === "watching") throw watched();
      if (performance.now() >= endMs) throw stuck(waitMs);
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
  }

  release(): void {
    this.#server.close();
  }
}

/** Null where somebody has the name. */
async function listen(use: LockUse): Promise<Server | null> {
  const server = createServer((asking) => {
    asking.on("error", () => undefined);
    asking.end(use);
    asking.unref();
  });
  return await new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null);
      else reject(error);
    });
    server.listen(LOCK_NAME, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** What the holder says that it does; empty if it has gone meanwhile, or says nothing. */
async function askHolder(): Promise<string> {
  return await new Promise((resolve) => {
    const asking = connect(LOCK_NAME);
    asking.setTimeout(LOCK_POLL_MS, () => asking.destroy());
    asking.once("data", (bytes) => {
      resolve(bytes.toString("latin1"));
      asking.destroy();
    });
    asking.once("error", () => resolve(""));
    asking.once("close", () => resolve(""));
  });
}

function watched(): InterceptError {
  return new InterceptError(
    "intercept-conflict",
    "a forklane intercept --fail open watches over the rules in this network namespace",
    "stop it first; it takes its rules away when it ends",
  );
}

function stuck(waitMs: number): InterceptError {
  return new InterceptError(
    "intercept-conflict",
    `another forklane intercept is at work in this network namespace, for longer than ${waitMs / 1_000} s`,
    "see what it waits for, or stop it, and try again",
  );
}
