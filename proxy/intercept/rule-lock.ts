import { connect, createServer, type Server, type Socket } from "node:net";
import { InterceptError } from "./intercept-error.ts";

/** What the holder of the lock does: changes rules once, or watches over them until it is stopped. */
export type LockUse = "once" | "watching";

/** How long one that changes rules once is waited for: it waits itself for the kernel's lock. */
const LOCK_WAIT_MS = 15_000;
const LOCK_POLL_MS = 50;

/**
 * An abstract socket (unix(7)): it belongs to the network namespace, as the rules do, whichever
 * container a command runs in; it needs no file, and the kernel drops it with its process, however
 * that ends. Anybody in the namespace can take the name, so who has it is asked of the kernel.
 */
const LOCK_NAME = "\0forklane-intercept";

/**
 * The right to change rules in this network namespace. Two that look at once at what stands would
 * both write what was right before the other.
 */
export class RuleLock {
  readonly #server: Server | null;
  /** Why it is no lock: a stranger keeps the name, who could not change rules. Null if it is one. */
  readonly warning: string | null;

  private constructor(server: Server | null, warning: string | null = null) {
    this.#server = server;
    this.warning = warning;
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
      const holder = await askHolder();
      if (holder?.isStranger) return new RuleLock(null, keptBy(`user ${holder.uid}`));
      if (holder?.use === "watching") throw watched();
      if (performance.now() >= endMs) {
        if (holder === null) return new RuleLock(null, keptBy("somebody who does not answer"));
        throw stuck(waitMs);
      }
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
  }

  release(): void {
    this.#server?.close();
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

interface Holder {
  /** Null where the kernel could not be asked. */
  readonly uid: number | null;
  /** Neither root nor this command's own user: no command of ours that may change rules. */
  readonly isStranger: boolean;
  /** What it says that it does. */
  readonly use: string;
}

/** Who has the name; null if nobody takes the connection: it has gone meanwhile, or only keeps the name. */
async function askHolder(): Promise<Holder | null> {
  const peerUser = await loadPeerUser();
  return await new Promise((resolve) => {
    const asking = connect(LOCK_NAME);
    let holder: Holder | null = null;
    asking.setTimeout(LOCK_ANSWER_MS, () => asking.destroy());
    asking.once("connect", () => {
      const uid = peerUser(asking);
      const isStranger = uid !== null && uid !== 0 && uid !== process.getuid?.();
      holder = { uid, isStranger, use: "" };
      if (isStranger) asking.destroy();
    });
    asking.once("data", (bytes) => {
      if (holder !== null) holder = { ...holder, use: bytes.toString("latin1") };
      asking.destroy();
    });
    asking.on("error", () => undefined);
    asking.once("close", () => resolve(holder));
  });
}

/** A command that writes rules answers between two programs that it runs. */
const LOCK_ANSWER_MS = 50;

/** Of Linux: asm-generic/socket.h; `struct ucred` has process, user and group. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;
const UCRED_UID_AT = 4;

/** The user who listens at the other end of a socket; without koffi nobody knows. */
async function loadPeerUser(): Promise<(socket: Socket) => number | null> {
  const signature =
    "int getsockopt(int descriptor, int level, int name, void *value, void *length)";
  try {
    const { default: koffi } = await import("koffi");
    const ask = koffi.load(null).func(signature);
    return (socket) => {
      const { _handle } = socket as { readonly _handle?: { readonly fd?: unknown } | null };
      const value = Buffer.alloc(UCRED_BYTES);
      const length = Buffer.alloc(4);
      length.writeInt32LE(UCRED_BYTES);
      const status = ask(Number(_handle?.fd ?? -1), SOL_SOCKET, SO_PEERCRED, value, length);
      return status === 0 ? value.readUInt32LE(UCRED_UID_AT) : null;
    };
  } catch {
    return () => null;
  }
}

function keptBy(who: string): string {
  return (
    `the lock of this network namespace is kept by ${who}, who has no right to it; going on without: ` +
    "see to it that no other forklane intercept runs here"
  );
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
