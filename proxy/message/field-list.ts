import { FIELD, knownFieldByName } from "./known-field.ts";

/**
 * The fields of a head, in order, whatever the protocol version.
 *
 * A view: valid until the connection that made it goes on to the next message. Who needs a value
 * for longer copies the string.
 */
export interface FieldList {
  readonly count: number;
  /** Bit `1 << id` is set for each known field (known-field.ts) that is there. */
  readonly present: number;
  /** The known field's number; FIELD.OTHER for all others. */
  id(index: number): number;
  /** The name as received; HTTP/1.1 keeps its case. */
  name(index: number): string;
  /** The value without white space around it, each byte one character (latin1). */
  value(index: number): string;
  /** How many characters the value has. */
  valueLength(index: number): number;
  /** One character of the value, as its code; `at` is within it. */
  valueCode(index: number, at: number): number;
  /** A hash of 32 bits (FNV-1a) of the value from a character on. */
  valueHash(index: number, from: number): number;
  /** Whether the value from a character on is this text, with its case. */
  isExactly(index: number, from: number, text: string): boolean;
  /** Whether the value is this text, letters compared without case. `text` is lower case. */
  isValue(index: number, text: string): boolean;
  /** The index of the first field at or after `from` with this known number; -1 if there is none. */
  findKnown(id: number, from: number): number;
  /**
   * The index of the first field at or after `from` with this name, compared without case;
   * -1 if there is none. `name` is lower case.
   */
  find(name: string, from: number): number;
}

/** Fields of a message that was not received but made here: `[name, value, name, value, ...]`. */
export class MadeFields implements FieldList {
  readonly count: number;
  readonly present: number;
  readonly #pairs: readonly string[];

  constructor(pairs: readonly string[]) {
    this.#pairs = pairs;
    this.count = pairs.length >> 1;
    let present = 0;
    for (let i = 0; i < this.count; i++) present |= 1 << this.id(i);
    this.present = present;
  }

  id(index: number): number {
    return knownFieldByName(this.name(index).toLowerCase());
  }

  name(index: number): string {
    return this.#pairs[index * 2] ?? "";
  }

  value(index: number): string {
    return this.#pairs[index * 2 + 1] ?? "";
  }

  valueLength(index: number): number {
    return this.value(index).length;
  }

  valueCode(index: number, at: number): number {
    return this.value(index).charCodeAt(at);
  }

  valueHash(index: number, from: number): number {
    const value = this.value(index);
    let hash = HASH_START;
    for (let i = from; i < value.length; i++) hash = withHashed(hash, value.charCodeAt(i));
    return hash;
  }

  isExactly(index: number, from: number, text: string): boolean {
    return this.value(index).slice(from) === text;
  }

  isValue(index: number, text: string): boolean {
    return this.value(index).toLowerCase() === text;
  }

  findKnown(id: number, from: number): number {
    for (let i = from; i < this.count; i++) {
      if (this.id(i) === id) return i;
    }
    return -1;
  }

  find(name: string, from: number): number {
    for (let i = from; i < this.count; i++) {
      if (this.name(i).toLowerCase() === name) return i;
    }
    return -1;
  }
}

/** FNV-1a, a byte at a time. */
export const HASH_START = 0x811c9dc5 | 0;

/** The hash with one more byte. */
export function withHashed(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Fields after a body: rare and few, so plain pairs `[name, value, name, value, ...]`. */
export type Trailers = readonly string[];

/** Tells whether any of the known fields in `mask` is there. */
export function hasAny(fields: FieldList, mask: number): boolean {
  return (fields.present & mask) !== 0;
}

/** The value of the first field with this known number, or null. */
export function knownValue(fields: FieldList, id: number): string | null {
  if ((fields.present & (1 << id)) === 0 || id === FIELD.OTHER) return null;
  const at = fields.findKnown(id, 0);
  return at < 0 ? null : fields.value(at);
}
