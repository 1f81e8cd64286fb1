/**
 * Sockets without a network: what `node:net` gives to the upstream connections of this process while
 * something is read in memory. Everything happens at once, in the order in which it is told.
 */
import { EventEmitter } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import net, { type OnReadOpts, type Socket } from "node:net";
import { endTurn } from "../../proxy/http1/write-turn.ts";

/** One end of a connection: what it is told comes out as events, what is written to it is kept. */
export class MemorySocket extends EventEmitter {
  /** From outside (RFC 5737): whose tags are not believed. */
  readonly remoteAddress = "192.0.2.7";
  readonly writableLength = 0;
  readonly writableNeedDrain = false;
  readonly writableHighWaterMark = 64 * 1024;
  writableFinished = false;
  /** What was written, latin1. */
  written = "";
  /** `ended` in order, or `reset`, or closed without either; null while it is open. */
  closed: "ended" | "reset" | "closed" | null = null;
  readonly #onRead: OnReadOpts | null;

  constructor(onRead: OnReadOpts | null) {
    super();
    this.#onRead = onRead;
  }

  /** As a socket, for whoever is given one. */
  get socket(): Socket {
    return this as unknown as Socket;
  }

  /** The peer has accepted; a turn of the event loop. */
  connected(): void {
    this.emit("connect");
    endTurn();
  }

  /** The peer has said all; a turn of the event loop. */
  peerEnded(): void {
    this.emit("end");
    endTurn();
  }

  /** The peer sends bytes, latin1; a turn of the event loop. */
  receive(text: string): void {
    this.receiveInTurn(text);
    endTurn();
  }

  /** The same within a turn that goes on. */
  receiveInTurn(text: string): void {
    const bytes = Buffer.from(text, "latin1");
    if (this.#onRead === null) {
      this.emit("data", bytes);
      return;
    }
    for (let at = 0; at < bytes.length && this.closed === null; ) {
      const { buffer, callback } = this.#onRead;
      const into = typeof buffer === "function" ? buffer() : buffer;
      const count = bytes.copy(into, 0, at);
      at += count;
      callback(count, into);
    }
  }

  /** What is written to a closed one is lost, as it is with the kernel. */
  write(piece: Buffer | string): boolean {
    if (this.closed === null)
      this.written += typeof piece === "string" ? piece : piece.toString("latin1");
    return true;
  }

  end(told?: () => void): void {
    this.closed ??= "ended";
    this.writableFinished = true;
    told?.();
  }

  destroy(): void {
    this.closed ??= "closed";
  }

  resetAndDestroy(): void {
    this.closed = "reset";
  }

  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
}

let opened: MemorySocket[] | null = null;

/** Calls it, and gives it the sockets that it connects, in order. */
export function inMemory<T>(call: (connected: readonly MemorySocket[]) => T): T {
  const sockets: MemorySocket[] = [];
  opened = sockets;
  try {
    return call(sockets);
  } finally {
    opened = null;
  }
}

const connect = net.connect;

function connectInMemory(...args: Parameters<typeof connect>): Socket {
  if (opened === null) return connect(...args);
  const options = args[0] as unknown as { readonly onread?: OnReadOpts };
  const socket = new MemorySocket(options.onread ?? null);
  opened.push(socket);
  return socket.socket;
}

net.connect = connectInMemory as typeof connect;
syncBuiltinESMExports();
