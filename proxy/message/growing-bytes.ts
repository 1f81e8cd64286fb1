import { Buffer } from "node:buffer";

/**
 * Bytes that arrive in pieces and are wanted in one: a buffer that doubles, so that each byte is copied
 * again at most once on average, however small the pieces are.
 *
 * Before: http1/head-reader.ts, downstream/http1-connection.ts, exchange/request-body.ts. After: the same.
 * Invariant: no more room than twice what is in it, and than `bytesMax`; its caller adds no more than that.
 */
export class GrowingBytes {
  readonly #bytesMax: number;
  #room: Buffer;
  /** Bytes in it. */
  length: number;

  /** `first`, what is in it to begin with, is not copied before something is added. */
  constructor(bytesMax: number, first: Buffer = EMPTY) {
    this.#bytesMax = bytesMax;
    this.#room = first;
    this.length = first.length;
  }

  /** Where they are, from its beginning; another buffer after each add(). */
  get room(): Buffer {
    return this.#room;
  }

  /** Copies what stands from `start` to `end` behind them. */
  add(bytes: Buffer, start: number, end: number): void {
    const needed = this.length + end - start;
    if (needed > this.#room.length) this.#grow(needed);
    this.length += bytes.copy(this.#room, this.length, start, end);
  }

  #grow(needed: number): void {
    const wanted = Math.max(2 * needed, ROOM_BYTES_MIN);
    const room = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(wanted, this.#bytesMax)));
    this.#room.copy(room, 0, 0, this.length);
    this.#room = room;
  }
}

const EMPTY = Buffer.alloc(0);

/** Room for a small head that arrives byte by byte. */
const ROOM_BYTES_MIN = 1024;
