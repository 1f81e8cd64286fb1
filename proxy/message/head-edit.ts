import type { FieldList } from "./field-list.ts";

const DROPPED = 1;
const REPLACED = 2;

/**
 * What to change in a head before it is passed on: lines dropped, values replaced, lines added.
 *
 * One per connection and direction, reset for each message. What is not named here is passed on
 * byte for byte, in order and case. Hot path.
 */
export class HeadEdit {
  readonly #actions: Uint8Array;
  readonly #values: string[];
  readonly #added: string[] = [];
  #changes = 0;

  constructor(fieldsMax: number) {
    this.#actions = new Uint8Array(fieldsMax);
    this.#values = new Array<string>(fieldsMax).fill("");
  }

  reset(): void {
    if (this.#changes === 0) return;
    this.#actions.fill(0);
    this.#added.length = 0;
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
    this.#actions[index] = DROPPED;
    this.#changes++;
  }

  replace(index: number, value: string): void {
    this.#actions[index] = REPLACED;
    this.#values[index] = value;
    this.#changes++;
  }

  add(name: string, value: string): void {
    this.#added.push(name, value);
    this.#changes++;
  }

  /** Puts `member=value` in front of a list line that was added before; false if there is none. */
  setAddedMember(name: string, member: string, value: string): boolean {
    for (let i = 0; i < this.#added.length; i += 2) {
      if (this.#added[i] !== name) continue;
      this.#added[i + 1] = `${member}=${value},${this.#added[i + 1]}`;
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
    return this.#actions[index] === REPLACED ? (this.#values[index] ?? "") : fields.value(index);
  }
}
