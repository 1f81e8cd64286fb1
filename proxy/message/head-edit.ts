import type { FieldList } from "./field-list.ts";

const DROPPED = 1;
const REPLACED = 2;
const SPLICED = 3;

/**
 * What to change in a head before it is passed on: lines dropped, values replaced or changed at one
 * place, lines added.
 *
 * One per message in progress and direction, reset for each. What is not named here is passed on
 * byte for byte, in order and case. Hot path.
 */
export class HeadEdit {
  readonly #actions: Uint8Array;
  /** By the line that is replaced; few are. */
  readonly #values: string[] = [];
  readonly #added: string[] = [];
  /** Of each pair in `added`: the whole line, where whoever added it has it written; else null. */
  readonly #addedLines: (Buffer | null)[] = [];
  readonly #splices: Splice[] = [];
  #changes = 0;
  /** Behind the last line that is not kept. */
  #touchedEnd = 0;

  constructor(fieldsMax: number) {
    this.#actions = new Uint8Array(fieldsMax);
  }

  reset(): void {
    if (this.#changes === 0) return;
    for (let i = 0; i < this.#touchedEnd; i++) {
      if (this.#actions[i] === REPLACED) this.#values[i] = "";
      this.#actions[i] = 0;
    }
    this.#touchedEnd = 0;
    // To set a length of 0 would give up the room, which the next message needs again.
    while (this.#added.length > 0) this.#added.pop();
    while (this.#addedLines.length > 0) this.#addedLines.pop();
    while (this.#splices.length > 0) this.#splices.pop();
    this.#changes = 0;
  }

  get isEmpty(): boolean {
    return this.#changes === 0;
  }

  /** Names and values of the lines to add at the end: `[name, value, ...]`. */
  get added(): readonly string[] {
    return this.#added;
  }

  drop(index: number): void {
    this.#touch(index, DROPPED);
  }

  replace(index: number, value: string): void {
    this.#touch(index, REPLACED);
    this.#values[index] = value;
  }

  /**
   * Puts the bytes `start` to `end` of others, which stay as they are until the message is written, in
   * place of the characters `from` to `to` of a value; only for lines that are kept. No string is made of
   * the value, so this is for long ones.
   */
  splice(
    index: number,
    from: number,
    to: number,
    bytes: Buffer,
    start = 0,
    end = bytes.length,
  ): void {
    this.#touch(index, SPLICED);
    this.#splices.push({ index, from, to, bytes, start, end });
  }

  /** How a value is changed at one place; undefined if it is not. */
  spliceOf(index: number): Splice | undefined {
    if (this.#actions[index] !== SPLICED) return undefined;
    for (const splice of this.#splices) {
      if (splice.index === index) return splice;
    }
    return undefined;
  }

  #touch(index: number, action: number): void {
    this.#actions[index] = action;
    if (index >= this.#touchedEnd) this.#touchedEnd = index + 1;
    this.#changes++;
  }

  add(name: string, value: string): void {
    this.#added.push(name, value);
    this.#addedLines.push(null);
    this.#changes++;
  }

  /** The same for a line that many messages get: it is written once, for all of them. */
  addWritten({ name, value, line }: WrittenLine): void {
    this.#added.push(name, value);
    this.#addedLines.push(line);
    this.#changes++;
  }

  /** The line of the pair at `index` of `added`, its line end included; null if it is not written. */
  addedLine(index: number): Buffer | null {
    return this.#addedLines[index >> 1] ?? null;
  }

  /** Puts `member=value` in front of a list line that was added before; false if there is none. */
  setAddedMember(name: string, member: string, value: string): boolean {
    for (let i = 0; i < this.#added.length; i += 2) {
      if (this.#added[i] !== name) continue;
      this.#added[i + 1] = `${member}=${value},${this.#added[i + 1]}`;
      this.#addedLines[i >> 1] = null;
      return true;
    }
    return false;
  }

  isKept(index: number): boolean {
    return this.#actions[index] === 0;
  }

  isDropped(index: number): boolean {
    return this.#actions[index] === DROPPED;
  }

  /** The value as it will be passed on; call only for lines that are not dropped. */
  value(fields: FieldList, index: number): string {
    if (this.#actions[index] === REPLACED) return this.#values[index] ?? "";
    const value = fields.value(index);
    const splice = this.spliceOf(index);
    if (splice === undefined) return value;
    const put = splice.bytes.toString("latin1", splice.start, splice.end);
    return value.slice(0, splice.from) + put + value.slice(splice.to);
  }
}

/** A line to add, as a pair, as HTTP/1.1 writes it, and as one more item of a list. */
export interface WrittenLine {
  readonly name: string;
  readonly value: string;
  readonly line: Buffer;
  readonly item: Buffer;
}

/** `name` and `value` are latin1: each character is a byte. */
export function writtenLine(name: string, value: string): WrittenLine {
  const line = Buffer.from(`${name}: ${value}\r\n`, "latin1");
  return { name, value, line, item: Buffer.from(`, ${value}`, "latin1") };
}

/** A change at one place of a value, and what is put there: some bytes of others. */
export interface Splice {
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}
