import { ok, type Result } from "../../../core/result.ts";
import type { ControlLimits } from "../../model/limits.ts";
import type { Kind, Resource } from "../../model/resource.ts";
import { CommitListeners } from "../commit-listeners.ts";
import { ResourceSet, randomId } from "../resource-set.ts";
import type { Change, Commit, ListQuery, Store, StoreConflict, StoreContents } from "../store.ts";

const EMPTY: StoreContents = { version: 0, resources: [], tombstones: [] };

/** Keeps resources for as long as the process lives: for tests and for trying things out. */
export class MemoryStore implements Store {
  readonly epoch = randomId();
  readonly #set: ResourceSet;
  readonly #listeners = new CommitListeners();

  constructor(limits: ControlLimits) {
    this.#set = new ResourceSet(EMPTY, limits);
  }

  async read(): Promise<StoreContents> {
    return this.#set.contents();
  }

  async get<K extends Kind>(kind: K, name: string): Promise<Resource<K> | null> {
    return this.#set.get(kind, name);
  }

  async list<K extends Kind>(kind: K, query: ListQuery<K>): Promise<readonly Resource<K>[]> {
    return this.#set.list(kind, query);
  }

  async commit(changes: readonly Change[]): Promise<Result<Commit, StoreConflict>> {
    const plan = this.#set.plan(changes);
    if (!plan.ok) return plan;
    this.#set.apply(plan.value);
    this.#listeners.tell(plan.value);
    return ok(plan.value);
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    return this.#listeners.subscribe(listener);
  }

  async close(): Promise<void> {}
}
