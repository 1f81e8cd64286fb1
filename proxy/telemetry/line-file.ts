import { close, write } from "node:fs";
import type { Line } from "./line.ts";

/**
 * Appends lines to a file, a pipe or a terminal, many with one write, off the request path.
 *
 * Before: telemetry/access-log.ts. After: the file.
 * Invariants: memory is bounded; a line is written whole and once, or dropped and counted; whoever
 * reads slowly, or not at all, holds nobody up.
 * Hot path: a line is copied into a buffer.
 */
export class LineFile {
  readonly #fd: number;
  readonly #waitingMax: number;
  readonly #timer: NodeJS.Timeout;
  #block = newBlock();
  /** One that was written: made anew, 64 KB each time would have the garbage collector run for them. */
  #spare: Block | null = null;
  /** Full blocks, the one that is being written first. */
  readonly #waiting: Block[] = [];
  #isWriting = false;
  #retryMs = RETRY_MIN_MS;
  #onIdle: (() => void) | null = null;
  #droppedLines = 0;
  #fault: Error | null = null;

  /**
   * `fd` is closed at the end, unless it is standard output; a pipe has to be opened with O_NONBLOCK, since
   * a write that waits for ever keeps a process from its end. At most `waitingBytesMax` wait for it.
   */
  constructor(fd: number, waitingBytesMax: number) {
    this.#fd = fd;
    this.#waitingMax = Math.max(1, Math.floor(waitingBytesMax / BLOCK_BYTES));
    this.#timer = setInterval(() => this.#send(), FLUSH_MS);
    this.#timer.unref();
  }

  /** Lines that the file was too slow for, or that could not be written to it. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Why a write failed, the last time that one did; null if none did. */
  get fault(): Error | null {
    return this.#fault;
  }

  /** Copies one line, its line feed included; one that did not fit into LINE_BYTES_MAX is dropped. */
  add(line: Line): void {
    if (line.isCut || !this.#hasRoom(line.length)) {
      this.#droppedLines++;
      return;
    }
    const block = this.#block;
    line.bytes.copy(block.bytes, block.length, 0, line.length);
    block.length += line.length;
    block.lines++;
  }

  /** Resolves once all lines are written, or `timeoutMs` have passed. */
  async end(timeoutMs: number): Promise<void> {
    clearInterval(this.#timer);
    const over = Promise.withResolvers<void>();
    const late = setTimeout(over.resolve, timeoutMs);
    this.#onIdle = () => {
      // The last block may have had to wait for room behind the others.
      if (this.#block.length > 0) this.#send();
      else this.#close(over.resolve);
    };
    if (!this.#isWriting) this.#onIdle();
    await over.promise;
    clearTimeout(late);
  }

  #close(onClosed: () => void): void {
    if (this.#fd === STDOUT) onClosed();
    else close(this.#fd, onClosed);
  }

  /** In the block, or in a new one behind it. */
  #hasRoom(bytes: number): boolean {
    if (bytes <= BLOCK_BYTES - this.#block.length) return true;
    this.#send();
    return this.#block.length === 0;
  }

  /** The block goes to the file, behind those that wait. */
  #send(): void {
    if (this.#block.length === 0 || this.#waiting.length >= this.#waitingMax) return;
    this.#waiting.push(this.#block);
    this.#block = this.#spare ?? newBlock();
    this.#spare = null;
    if (!this.#isWriting) this.#writeFirst();
  }

  #writeFirst(): void {
    const block = this.#waiting[0];
    this.#isWriting = block !== undefined;
    if (block === undefined) {
      this.#onIdle?.();
      return;
    }
    const { bytes, written, length } = block;
    write(this.#fd, bytes, written, length - written, null, (error, count) => {
      this.#onWritten(block, error, count);
    });
  }

  #onWritten(block: Block, error: NodeJS.ErrnoException | null, count: number): void {
    if (error?.code === "EAGAIN") {
      // A pipe that does not block, and is full: mostly its reader is at work, else it may be away for long.
      setTimeout(() => this.#writeFirst(), this.#retryMs).unref();
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MAX_MS);
      return;
    }
    this.#retryMs = RETRY_MIN_MS;
    block.written += count;
    if (error !== null) {
      this.#fault = error;
      this.#droppedLines += block.lines;
    }
    if (error !== null || block.written === block.length) {
      this.#waiting.shift();
      this.#spare = emptied(block);
    }
    this.#writeFirst();
  }
}

const STDOUT = 1;

/** What is written at once: as much as a pipe holds. A quieter file is written every FLUSH_MS. */
const BLOCK_BYTES = 64 * 1024;
const FLUSH_MS = 500;
const RETRY_MIN_MS = 1;
const RETRY_MAX_MS = 100;

/** Lines on their way. */
interface Block {
  readonly bytes: Buffer;
  length: number;
  lines: number;
  /** How many of the bytes the file has. */
  written: number;
}

function newBlock(): Block {
  return { bytes: Buffer.allocUnsafeSlow(BLOCK_BYTES), length: 0, lines: 0, written: 0 };
}

function emptied(block: Block): Block {
  block.length = 0;
  block.lines = 0;
  block.written = 0;
  return block;
}
