import { detached } from "./detached.ts";

/**
 * What was worked out of the names that come again and again, for values that depend on their name alone.
 *
 * Before: routing/tag.ts, routing/decision.ts, exchange/decorated-head.ts, telemetry/written-outcomes.ts.
 * Invariants: bounded, whatever peers send; forgetting one costs only that it is made again.
 * Hot path: a lookup allocates nothing. Once it is full only some of what is made takes the place of the
 * oldest: who comes often gets in soon, and where more names are in use than there is room for, few are kept
 * only to be pushed out. What is pushed out is garbage that V8 took for something lasting, and collects late.
 */
export class RecurringMap<K, V> {
  readonly #keptMax: number;
  /** Oldest first. */
  readonly #kept = new Map<K, V>();
  #madeWhenFull = 0;

  /** It keeps at most as many as this. */
  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  get(name: K): V | undefined {
    return this.#kept.get(name);
  }

  /** Whether what is made of a name now is one that it keeps; to be asked once for each that is made. */
  admits(name: K): boolean {
    if (this.#kept.size < this.#keptMax || this.#kept.has(name)) return true;
    return this.#madeWhenFull++ % ADMITTED_EVERY === 0;
  }

  /** Keeps it; a name that is text is copied if it may be part of a longer one. */
  keep(name: K, value: V): void {
    if (this.#kept.size >= this.#keptMax && !this.#kept.has(name)) this.#forgetOldest();
    this.#kept.set(typeof name === "string" ? (detached(name) as K) : name, value);
  }

  #forgetOldest(): void {
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }
}

/** A prime: names that come in turn all get their chance, however many they are. */
export const ADMITTED_EVERY = 61;
