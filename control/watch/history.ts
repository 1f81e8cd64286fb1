import type { KeyChanges } from "../compile/tables.ts";

/** What one commit changed for the proxies. */
export interface HistoryEntry {
  readonly version: number;
  readonly workloads: ReadonlySet<string>;
  readonly keys: KeyChanges;
}

/** The last revisions, so that a proxy that was away gets what it missed and not everything. */
export class History {
  readonly #revisionsMax: number;
  #entries: HistoryEntry[] = [];
  /** Every change after this version is held. */
  #from: number;

  constructor(from: number, revisionsMax: number) {
    this.#from = from;
    this.#revisionsMax = revisionsMax;
  }

  /** The oldest version that can be resumed from. */
  get from(): number {
    return this.#from;
  }

  add(entry: HistoryEntry): void {
    this.#entries.push(entry);
    // Cut in bulk: shifting one element of thousands for each commit would cost more.
    if (this.#entries.length < this.#revisionsMax * 2) return;
    const cut = this.#entries.length - this.#revisionsMax;
    this.#from = this.#entries[cut - 1]?.version ?? this.#from;
    this.#entries = this.#entries.slice(cut);
  }

  /** What came after `version`, oldest first; null if not all of it is held. */
  since(version: number): readonly HistoryEntry[] | null {
    if (version < this.#from) return null;
    let first = this.#entries.length;
    while (first > 0 && (this.#entries[first - 1]?.version ?? 0) > version) first--;
    return this.#entries.slice(first);
  }
}

/** Joins the changes of several commits: for each key its last state counts. */
export function mergeKeyChanges(entries: readonly HistoryEntry[]): KeyChanges {
  const only = entries.length === 1 ? entries[0] : undefined;
  if (only !== undefined) return only.keys;
  const states = new Map<string, "added" | "removed" | "expired">();
  for (const { keys } of entries) {
    for (const key of keys.added) states.set(key, "added");
    for (const key of keys.removed) states.set(key, "removed");
    for (const key of keys.expired) states.set(key, "expired");
  }
  const merged = { added: [] as string[], removed: [] as string[], expired: [] as string[] };
  for (const [key, state] of states) merged[state].push(key);
  return merged;
}

/** Tells whether no key came or went. */
export function isEmpty(keys: KeyChanges): boolean {
  return keys.added.length === 0 && keys.removed.length === 0 && keys.expired.length === 0;
}
