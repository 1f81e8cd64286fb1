/**
 * A bounded memory of what was worked out lately, for values that depend on their name alone.
 *
 * Before: exchange/trace-affinity.ts.
 * Invariant: at most twice `generationMax` entries, whatever peers send; forgetting one costs only
 * that it is made again.
 * Hot path: a lookup allocates nothing.
 */
export class RecentMap<V> {
  readonly #generationMax: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(generationMax: number) {
    this.#generationMax = generationMax;
  }

  get(name: string): V | undefined {
    const value = this.#young.get(name);
    if (value !== undefined) return value;
    const aged = this.#old.get(name);
    if (aged !== undefined) this.#remember(name, aged);
    return aged;
  }

  /** Remembers a value; `name` is copied if it may be a piece of a longer string. */
  set(name: string, value: V): void {
    this.#remember(detached(name), value);
  }

  #remember(name: string, value: V): void {
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, value);
  }
}

/**
 * A copy that keeps no longer string alive: V8 represents a slice of 13 characters and more as
 * a reference into its parent, here the 8 KiB of a baggage header.
 */
export function detached(text: string): string {
  return text.length < 13 ? text : ` ${text}`.slice(1);
}
