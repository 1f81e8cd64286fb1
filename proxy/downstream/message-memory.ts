import { Buffer } from "node:buffer";

/**
 * Memory for what the reads of one message bring: the same again for the next message.
 *
 * Before: listener/accept-in-place.ts, which copies into it. After: downstream/http1-connection.ts.
 * Invariant: nothing in it is written over before clear(), which is called when nobody holds on to any of
 * it: the message is over, and no byte behind it waits.
 * Why: a buffer of its own for each upload of some KiB has V8 collect all its garbage dozens of times a second,
 * since it counts what is outside of its heap too.
 * Hot path of uploads: small reads have a place in Node's pool of buffers.
 */
export class MessageMemory {
  #block: Buffer | null = null;
  #used = 0;

  /** Room for what a read brought; null where a buffer of its own serves better. */
  roomFor(bytes: number): Buffer | null {
    if (bytes < ROOM_BYTES_MIN || bytes > READ_BYTES_MAX) return null;
    if (this.#used === 0) this.#haveBlock(bytes);
    const block = this.#block;
    if (block === null || bytes > block.length - this.#used) return null;
    const start = this.#used;
    this.#used += bytes;
    return block.subarray(start, this.#used);
  }

  /** No more than twice what is asked for: a caller that goes on slowly holds it. */
  #haveBlock(bytes: number): void {
    if (this.#block !== null && bytes <= this.#block.length) return;
    let size = ROOM_BYTES_MIN;
    while (size < bytes) size *= 2;
    this.#block = Buffer.allocUnsafeSlow(size);
  }

  /** Nobody looks at any of it any more. */
  clear(): void {
    this.#used = 0;
  }

  /** The same, and it takes no memory until it is used again. */
  release(): void {
    this.#used = 0;
    this.#block = null;
  }
}

/** Below this a buffer costs little. */
export const ROOM_BYTES_MIN = 4 * 1024;

/**
 * Most that one read of a caller brings: large uploads take less CPU than with twice as much (`npm run
 * bench:compare -- --only request-1m`), while large responses take more.
 */
export const READ_BYTES_MAX = 32 * 1024;
