import { detached } from "../routing/detached.ts";

/**
 * A bounded memory of the names met lately, and what belongs to each.
 *
 * Before: exchange/trace-affinity.ts.
 * Invariant: at most twice `generationMax` entries, whatever peers send; those not met for longest are
 * forgotten first.
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
