import { detached } from "./detached.ts";

/**
 * What was worked out of the values that come again and again, found by their bytes.
 *
 * Before: routing/baggage-line.ts, exchange/way.ts.
 * Invariants: the answer is what the function says of the value; what is held is bounded, whatever peers
 * send; forgetting one costs only that it is made again.
 * Hot path: for a value that is held no string is made, nor any object. One is held when it comes twice
 * while no other new one comes to its place, so those that never come again push none out that is held.
 */
export class RecurringValues<V> {
  readonly #read: (text: string) => V;
  /** By place: what is held there, and the hash of its text. */
  readonly #held: (Held<V> | null)[] = Array.from({ length: PLACES }, () => null);
  readonly #hashes = new Int32Array(PLACES);
  /** By place: hash of the value that came last, and is not held. */
  readonly #candidates = new Int32Array(PLACES);

  /** `read` depends on nothing but the text. */
  constructor(read: (text: string) => V) {
    this.#read = read;
  }

  /** What the function says of the value from a character on. */
  of(fields: RecurringFields, index: number, from: number): V {
    if (fields.valueLength(index) - from > RECURRING_CHARS_MAX)
      return this.#read(text(fields, index, from));
    const hash = fields.valueHash(index, from);
    const place = (hash ^ (hash >>> 16)) & (PLACES - 1);
    const held = this.#held[place] as Held<V> | null;
    if (held !== null && this.#hashes[place] === hash && fields.isExactly(index, from, held.text)) {
      return held.value;
    }
    return this.#make(text(fields, index, from), place, hash);
  }

  #make(text: string, place: number, hash: number): V {
    const value = this.#read(text);
    if (this.#candidates[place] === hash) {
      this.#held[place] = { text: detached(text), value };
      this.#hashes[place] = hash;
    } else this.#candidates[place] = hash;
    return value;
  }
}

/** A head's fields as they are needed here; message/field-list.ts fits. */
export interface RecurringFields {
  valueLength(index: number): number;
  value(index: number): string;
  /** A hash of 32 bits of the value from a character on. */
  valueHash(index: number, from: number): number;
  /** Whether the value from a character on is this text, with its case. */
  isExactly(index: number, from: number, text: string): boolean;
}

interface Held<V> {
  readonly text: string;
  readonly value: V;
}

function text(fields: RecurringFields, index: number, from: number): string {
  return from === 0 ? fields.value(index) : fields.value(index).slice(from);
}

/** Longest value that is held. */
export const RECURRING_CHARS_MAX = 256;

/** A power of two. All of them full take 128 KiB, and what was made of them. */
const PLACES = 512;
