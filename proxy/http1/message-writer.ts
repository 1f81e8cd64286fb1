import type { Socket } from "node:net";
import type { Trailers } from "../message/field-list.ts";
import { socketFlow } from "../message/socket-flow.ts";
import { FLOW, type Flow } from "../message/stream.ts";
import { encodeLastChunk } from "./encode-head.ts";

/**
 * Writes the messages of one connection: head, content with its framing, end; then opaque bytes.
 *
 * Before: either http1 connection. After: the socket.
 * Invariant: what is gathered refers to its pieces until flush(); from then on the answer says
 * whether somebody still does.
 * Hot path: a small message is one write of one buffer, so one system call.
 */
export class MessageWriter {
  readonly #socket: Socket;
  #pieces: (Buffer | string)[] = [];
  #bytes = 0;
  #sendsChunks = false;
  /** More waits in the socket than its limit; until drained() it takes no more. */
  isBlocked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Gathers the head of a message whose content goes out in chunks, or as it is. */
  head(bytes: Buffer, sendsChunks: boolean): void {
    this.#sendsChunks = sendsChunks;
    this.#gather(bytes, bytes.length);
  }

  /** Gathers content, with its chunk framing if it has one (RFC 9112 section 7.1). */
  body(bytes: Buffer): void {
    if (!this.#sendsChunks) {
      this.#gather(bytes, bytes.length);
      return;
    }
    const head = `${bytes.length.toString(16)}\r\n`;
    this.#gather(head, head.length);
    this.#gather(bytes, bytes.length);
    this.#gather(CHUNK_END, CHUNK_END.length);
  }

  end(trailers: Trailers | null): void {
    if (!this.#sendsChunks) return;
    const last = encodeLastChunk(trailers);
    this.#gather(last, last.length);
  }

  /** Hands over what was gathered. */
  flush(): Flow {
    if (this.#bytes === 0) return this.#told(socketFlow(this.#socket));
    const pieces = this.#pieces;
    const bytes = this.#bytes;
    this.#pieces = [];
    this.#bytes = 0;
    if (bytes > JOINED_BYTES_MAX) return this.#writeEach(pieces);
    // A copy: whoever the pieces belong to may have them back, wherever the copy is.
    this.#socket.write(joined(pieces, bytes));
    return this.#told(this.#socket.writableNeedDrain ? FLOW.BLOCKED : FLOW.FLUSHED);
  }

  /** Writes bytes of a tunnel. */
  opaque(bytes: Buffer): Flow {
    this.#socket.write(bytes);
    return this.#told(socketFlow(this.#socket));
  }

  /** The socket is empty again; true if that is news. */
  drained(): boolean {
    const wasBlocked = this.isBlocked;
    this.isBlocked = false;
    return wasBlocked;
  }

  #gather(piece: Buffer | string, bytes: number): void {
    this.#pieces.push(piece);
    this.#bytes += bytes;
  }

  #writeEach(pieces: readonly (Buffer | string)[]): Flow {
    this.#socket.cork();
    for (const piece of pieces) {
      if (typeof piece === "string") this.#socket.write(piece, "latin1");
      else this.#socket.write(piece);
    }
    this.#socket.uncork();
    return this.#told(socketFlow(this.#socket));
  }

  #told(flow: Flow): Flow {
    if (flow === FLOW.BLOCKED) this.isBlocked = true;
    return flow;
  }
}

const CHUNK_END = "\r\n";

/** Up to here copying costs less than a write of several buffers (bench cpu, small bodies). */
const JOINED_BYTES_MAX = 16 * 1024;

function joined(pieces: readonly (Buffer | string)[], bytes: number): Buffer {
  const out = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const piece of pieces) {
    at += typeof piece === "string" ? out.write(piece, at, "latin1") : piece.copy(out, at);
  }
  return out;
}
