import { LINE_BYTES_MAX, type Line } from "./line.ts";

/**
 * Lines that wait to be sent, oldest first, as bytes in large blocks.
 *
 * Before: hop-records.ts. After: whoever takes them.
 * Invariants: a line stays until it is removed; it is in one block, whole.
 * Hot path of tagged traffic: adding copies the line, and makes no object of its own. How many are held
 * is the caller's to bound.
 *
 * Each line has an owner, who is told of when it is removed.
 */
export class HeldLines<Owner> {
  readonly #blocks: Block<Owner>[] = [];
  /** One that was emptied: a proxy with a little tagged traffic would make one for each batch. */
  #spare: Block<Owner> | null = null;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Copies a line, its line feed included. */
  add(line: Line, owner: Owner): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || line.length > block.bytes.length - block.length) {
      block = this.#spare ?? newBlock();
      this.#spare = null;
      this.#blocks.push(block);
    }
    line.bytes.copy(block.bytes, block.length, 0, line.length);
    block.length += line.length;
    block.ends.push(block.length);
    block.owners.push(owner);
    this.#count++;
  }

  /** The oldest lines, at most `bytesMax` bytes but at least one line; empty where none is held. */
  oldest(bytesMax: number): { readonly lines: string; readonly count: number } {
    let lines = "";
    let count = 0;
    for (const block of this.#blocks) {
      const start = startOf(block, block.first);
      const roomTo = start + bytesMax - lines.length;
      let next = block.first;
      while (next < block.ends.length) {
        if ((block.ends[next] as number) > roomTo && count > 0) break;
        next++;
        count++;
      }
      lines += block.bytes.toString("latin1", start, startOf(block, next));
      if (next < block.ends.length) break;
    }
    return { lines, count };
  }

  /** Removes the oldest lines, as many as are said, and tells the owner of each. */
  removeOldest(count: number, removed: (owner: Owner) => void): void {
    for (let left = Math.min(count, this.#count); left > 0; left--) {
      const block = this.#blocks[0] as Block<Owner>;
      removed(block.owners[block.first++] as Owner);
      this.#count--;
      if (block.first === block.ends.length) this.#empty(block);
    }
  }

  #empty(block: Block<Owner>): void {
    this.#blocks.shift();
    block.length = 0;
    block.ends.length = 0;
    block.owners.length = 0;
    block.first = 0;
    this.#spare = block;
  }
}

interface Block<Owner> {
  readonly bytes: Buffer;
  length: number;
  /** Of each line: where it ends, and whose it is. */
  readonly ends: number[];
  readonly owners: Owner[];
  /** The first line that was not removed. */
  first: number;
}

/** Twice the longest line at least. */
const BLOCK_BYTES = 2 * LINE_BYTES_MAX;

function newBlock<Owner>(): Block<Owner> {
  return { bytes: Buffer.allocUnsafeSlow(BLOCK_BYTES), length: 0, ends: [], owners: [], first: 0 };
}

function startOf<Owner>(block: Block<Owner>, line: number): number {
  return line === 0 ? 0 : (block.ends[line - 1] as number);
}
