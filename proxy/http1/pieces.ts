import { Buffer } from "node:buffer";

/**
 * Pieces of a message on its way out: ranges of buffers, and text. Nothing is copied until joined().
 *
 * Before: http1/encode-head.ts, and content as it was read. After: http1/message-writer.ts.
 * Invariant: a piece refers to its buffer until clear().
 * Hot path: the lists are used again for each message, and a range needs no view of its own.
 */
export class Pieces {
  readonly #sources: (Buffer | string)[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  count = 0;
  /** Length of all pieces, in bytes. */
  bytes = 0;

  /** Adds `source` from `start` to `end`. */
  range(source: Buffer, start: number, end: number): void {
    this.#add(source, start, end);
  }

  /** Adds text whose characters are bytes (latin1). */
  text(text: string): void {
    this.#add(text, 0, text.length);
  }

  /** Puts text where an empty one was added before. */
  fill(index: number, text: string): void {
    this.#sources[index] = text;
    this.#ends[index] = text.length;
    this.bytes += text.length;
  }

  #add(source: Buffer | string, start: number, end: number): void {
    const at = this.count++;
    this.#sources[at] = source;
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.bytes += end - start;
  }

  /** One piece as the socket takes it: a view, or text. */
  piece(index: number): Buffer | string {
    const source = this.#sources[index] as Buffer | string;
    if (typeof source === "string") return source;
    return source.subarray(this.#starts[index], this.#ends[index]);
  }

  /** Length of one piece, in bytes. */
  size(index: number): number {
    return (this.#ends[index] as number) - (this.#starts[index] as number);
  }

  /** All pieces, copied into one buffer; or those from one to before another. */
  joined(from = 0, to = this.count): Buffer {
    const isAll = to - from === this.count;
    const out = Buffer.allocUnsafe(isAll ? this.bytes : this.#bytesOf(from, to));
    this.#put(out, from, to);
    return out;
  }

  /** Copies all pieces to the beginning of a buffer that has room for them. */
  joinInto(out: Buffer): void {
    this.#put(out, 0, this.count);
  }

  #put(out: Buffer, from: number, to: number): void {
    let at = 0;
    for (let i = from; i < to; i++) {
      const source = this.#sources[i] as Buffer | string;
      const start = this.#starts[i] as number;
      const end = this.#ends[i] as number;
      if (typeof source !== "string") putRange(source, start, end, out, at);
      else if (source.length > SHORT_CHARS_MAX) out.write(source, at, "latin1");
      else for (let c = 0; c < source.length; c++) out[at + c] = source.charCodeAt(c);
      at += end - start;
    }
  }

  #bytesOf(from: number, to: number): number {
    let bytes = 0;
    for (let i = from; i < to; i++) bytes += this.size(i);
    return bytes;
  }

  /** Lets go of all pieces. */
  clear(): void {
    for (let i = 0; i < this.count; i++) this.#sources[i] = "";
    this.count = 0;
    this.bytes = 0;
  }
}

/** Few bytes go one by one; the whole of a buffer is put in half the time of a part of it. */
function putRange(source: Buffer, start: number, end: number, out: Buffer, at: number): void {
  if (end - start <= FEW_BYTES_MAX) {
    for (let i = start, to = at; i < end; i++, to++) out[to] = source[i] as number;
  } else if (start === 0 && end === source.length) out.set(source, at);
  else source.copy(out, at, start, end);
}

/** Up to here a loop is less than a call that copies. */
const FEW_BYTES_MAX = 64;

/** Up to here text goes byte by byte: that is less than a call into the runtime. */
const SHORT_CHARS_MAX = 8;
