import type { FieldList } from "./field-list.ts";

/**
 * What to change in a head before it is passed on: lines dropped, values replaced or changed at one
 * place, lines added.
 *
 * Before: exchange/forwarded-head.ts, exchange/decorated-head.ts and the other steps that change a head.
 * After: http1/encode-head.ts.
 * One per message in progress and direction, reset for each. What is not named here is passed on
 * byte for byte, in order and case. Hot path.
 */
export class HeadEdit {
  readonly #actions: Uint8Array;
  /** By the line that is replaced; few are. */
  readonly #values: string[] = [];
  /** Used again for each message, the first `#addedCount` and `#spliceCount` of them. */
  readonly #added: Added[] = [];
  #addedCount = 0;
  readonly #splices: Splice[] = [];
  #spliceCount = 0;
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
    for (let i = 0; i < this.#addedCount; i++) forget(this.#added[i] as Added);
    for (let i = 0; i < this.#spliceCount; i++) (this.#splices[i] as Splice).bytes = NO_BYTES;
    this.#touchedEnd = 0;
    this.#addedCount = 0;
    this.#spliceCount = 0;
    this.#changes = 0;
  }

  get isEmpty(): boolean {
    return this.#changes === 0;
  }

  drop(index: number): void {
    this.#touch(index, DROPPED);
  }

  /** Drops every line of one of the known fields (message/known-field.ts). */
  dropKnown(fields: FieldList, id: number): void {
    if ((fields.present & (1 << id)) === 0) return;
    for (let i = 0; i < fields.count; i++) {
      if (fields.id(i) === id) this.drop(i);
    }
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
    const at = this.#spliceCount++;
    this.#splices[at] ??= { index, from, to, bytes, start, end };
    const splice = this.#splices[at];
    splice.index = index;
    splice.from = from;
    splice.to = to;
    splice.bytes = bytes;
    splice.start = start;
    splice.end = end;
  }

  /** How a value is changed at one place; undefined if it is not. */
  spliceOf(index: number): Readonly<Splice> | undefined {
    if (this.#actions[index] !== SPLICED) return undefined;
    for (let i = 0; i < this.#spliceCount; i++) {
      const splice = this.#splices[i] as Splice;
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
    this.#add(name, value, NO_BYTES, 0, 0);
  }

  /** The same for a line that many messages get: it is written once, for all of them. */
  addWritten({ name, value, line }: WrittenLine): void {
    this.#add(name, value, line, 0, line.length);
  }

  /**
   * The same for a line that stands in the bytes `start` to `end` of others, its line end included; they
   * stay as they are until the message is written.
   */
  addLine(name: string, bytes: Buffer, start: number, end: number): void {
    this.#add(name, null, bytes, start, end);
  }

  #add(name: string, value: string | null, bytes: Buffer, start: number, end: number): void {
    const at = this.#addedCount++;
    this.#added[at] ??= { name, value, bytes, start, end };
    const added = this.#added[at];
    added.name = name;
    added.value = value;
    added.bytes = bytes;
    added.start = start;
    added.end = end;
    this.#changes++;
  }

  /** How many lines are added at the end. */
  get addedCount(): number {
    return this.#addedCount;
  }

  /** One of them, valid until the next reset; `bytes` is empty where it is not written yet. */
  addedLine(index: number): Readonly<Added> {
    return this.#added[index] as Added;
  }

  /** Names and values of the lines to add at the end: `[name, value, ...]`. Makes strings. */
  get added(): readonly string[] {
    return this.#added.slice(0, this.#addedCount).flatMap((line) => [line.name, textOf(line)]);
  }

  /** Puts `member=value` in front of a list line that was added before; false if there is none. */
  setAddedMember(name: string, member: string, value: string): boolean {
    for (let i = 0; i < this.#addedCount; i++) {
      const added = this.#added[i] as Added;
      if (added.name !== name) continue;
      added.value = `${member}=${value},${textOf(added)}`;
      added.bytes = NO_BYTES;
      return true;
    }
    return false;
  }

  /** Whether a field of that name was added. */
  hasAdded(name: string): boolean {
    for (let i = 0; i < this.#addedCount; i++) {
      if (this.#added[i]?.name === name) return true;
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

/** What becomes of a line. */
const DROPPED = 1;
const REPLACED = 2;
const SPLICED = 3;

const NO_BYTES = Buffer.alloc(0);

/** A line to add: as a value, or in some bytes, its line end included. */
interface Added {
  name: string;
  /** Null where only the bytes say it. */
  value: string | null;
  bytes: Buffer;
  start: number;
  end: number;
}

function textOf({ name, value, bytes, start, end }: Added): string {
  const valueStart = start + name.length + ": ".length;
  return value ?? bytes.toString("latin1", valueStart, end - "\r\n".length);
}

function forget(added: Added): void {
  added.value = "";
  added.bytes = NO_BYTES;
}

/** A line to add, as a pair, as HTTP/1.1 writes it, and as one more item of a list. */
export interface WrittenLine {
  readonly name: string;
  readonly value: string;
  readonly line: Buffer;
  readonly item: Buffer;
}

/** `name` and `value` are latin1: each character is a byte. It is kept, so it has a buffer of its own. */
export function writtenLine(name: string, value: string): WrittenLine {
  const line = `${name}: ${value}\r\n`;
  const item = `, ${value}`;
  const bytes = Buffer.allocUnsafeSlow(line.length + item.length);
  bytes.write(line, 0, "latin1");
  bytes.write(item, line.length, "latin1");
  return { name, value, line: bytes.subarray(0, line.length), item: bytes.subarray(line.length) };
}

/** A change at one place of a value, and what is put there: some bytes of others. */
interface Splice {
  index: number;
  from: number;
  to: number;
  bytes: Buffer;
  start: number;
  end: number;
}
