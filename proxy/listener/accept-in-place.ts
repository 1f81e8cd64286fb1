import { Buffer } from "node:buffer";
import { type Server, Socket, type SocketConstructorOpts } from "node:net";
import { FLOW, type Flow } from "../message/stream.ts";

/**
 * Lets the connections that a server accepts read into one buffer for all of them.
 *
 * `node:net` gives each read a fresh buffer of 64 KiB, whatever comes, and has no option for accepted
 * connections that says otherwise: `onread` is for those that a process opens. So this takes the
 * place of the callback that the server's handle calls for a new connection, and makes the socket
 * itself, with `onread`. Neither is documented: where Node is not one of those that this is tested
 * with, or looks different, nothing is changed and the sockets are the server's own.
 *
 * Before: listener/listener.ts. After: the server's `connection` event, with a socket like any other:
 * each `data` event owns its bytes. An AcceptedSocket can also lend them (see there).
 * Returns whether it is in place. `server` listens already; `nodeVersion` is like `26.10.0`.
 * Invariant: the shared buffer is never seen outside; what a read brought is copied out of it.
 * Hot path.
 */
export function acceptInPlace(
  server: Server,
  options: AcceptOptions,
  nodeVersion = process.versions.node,
): boolean {
  const listening = (server as ServerInside)._handle;
  const asBefore = listening?.onconnection;
  if (!isKnown(nodeVersion) || listening == null || typeof asBefore !== "function") return false;
  const buffers = new ReadBuffers(options.readBufferBytes);
  listening.onconnection = (error, accepted) => {
    if (error !== 0 || accepted === undefined) asBefore.call(listening, error, accepted);
    else server.emit("connection", new AcceptedSocket(accepted, options, buffers));
  };
  return true;
}

/** The first two are as for `createServer`. */
export interface AcceptOptions {
  readonly allowHalfOpen: boolean;
  /** In bytes. */
  readonly highWaterMark: number;
  /** Most that one read brings, in bytes. */
  readonly readBufferBytes: number;
}

/** What is used of a server besides its public side. */
interface ServerInside {
  readonly _handle?: {
    /** Called with 0, or a negated error number, and the new connection. */
    onconnection?: (error: number, accepted: AcceptedHandle | undefined) => void;
  } | null;
}

interface AcceptedHandle {
  setNoDelay(on: boolean): void;
}

/** Majors of Node that the suites ran on with this in place. */
const KNOWN_MAJORS = [24, 26];

function isKnown(nodeVersion: string): boolean {
  return KNOWN_MAJORS.includes(Number.parseInt(nodeVersion, 10));
}

/** Who takes bytes that are not its own to keep: large bodies pass without a copy. */
export interface LentReader {
  /** Where a copy of a read goes, if the reader has room for it that it uses again; else null. */
  roomFor(bytes: number): Buffer | null;
  /** Whether the next read may be lent. Asked before each. */
  readonly takesLent: boolean;
  /** Takes a read. Its bytes are written over later, unless the answer says that somebody holds them. */
  onLent(bytes: Buffer): Flow;
}

/**
 * An accepted connection. What it reads goes to `data` as a copy, in room of the reader's or new. While reads fill the buffer, and
 * somebody takes them lent, it reads into a buffer of its own, which is used again for the next
 * read as soon as the kernel has taken all that was in it.
 */
export class AcceptedSocket extends Socket {
  readonly #buffers: ReadBuffers;
  #reader: LentReader | null = null;
  /** Read into at present. */
  #current: Buffer;

  constructor(accepted: AcceptedHandle, options: AcceptOptions, buffers: ReadBuffers) {
    const { allowHalfOpen, highWaterMark } = options;
    let next: Buffer | null = buffers.shared;
    const onread = {
      // Asked before the first read and after each; null: go on with the same.
      buffer: () => next,
      callback: (count: number): boolean => {
        const before = this.#current;
        this.#read(count);
        next = this.#current === before ? null : this.#current;
        return true;
      },
    };
    accepted.setNoDelay(true);
    const inside = {
      handle: accepted,
      readable: true,
      writable: true,
      allowHalfOpen,
      highWaterMark,
      onread,
      // It reads once somebody listens to `data`: nothing keeps what comes before.
      manualStart: true,
    };
    super(inside as unknown as SocketConstructorOpts);
    this.#buffers = buffers;
    this.#current = buffers.shared;
  }

  lendTo(reader: LentReader): void {
    this.#reader = reader;
  }

  #read(count: number): void {
    const buffers = this.#buffers;
    const current = this.#current;
    const takesLent = this.#reader?.takesLent === true;
    if (current === buffers.shared) {
      this.#emitCopy(count);
      const isFull = count === current.length;
      if (isFull && this.#reader?.takesLent === true) this.#current = buffers.take();
      return;
    }
    if (!takesLent) {
      this.#emitCopy(count);
      this.#giveBack();
      return;
    }
    const flow = this.#reader?.onLent(current.subarray(0, count));
    if (flow !== FLOW.FLUSHED) this.#current = buffers.shared;
    else if (count < current.length / SLOW_DIVISOR || this.#reader?.takesLent !== true) {
      this.#giveBack();
    }
  }

  #emitCopy(count: number): void {
    const own = this.#reader?.roomFor(count) ?? Buffer.allocUnsafe(count);
    this.#current.copy(own, 0, 0, count);
    this.emit("data", own);
  }

  #giveBack(): void {
    this.#buffers.giveBack(this.#current);
    this.#current = this.#buffers.shared;
  }
}

/** What the connections of one server read into. */
class ReadBuffers {
  readonly shared: Buffer;
  /** Kept for the next that reads much. */
  readonly #spare: Buffer[] = [];

  constructor(bytes: number) {
    this.shared = Buffer.allocUnsafeSlow(bytes);
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.shared.length);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
  }
}

const SPARE_MAX = 4;

/** A read that fills less than this part of a buffer: there are not many to save copies of. */
const SLOW_DIVISOR = 4;
