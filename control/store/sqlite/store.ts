import { ok, type Result } from "../../../core/result.ts";
import type { ControlLimits } from "../../model/limits.ts";
import type { Kind, Resource } from "../../model/resource.ts";
import { CommitListeners } from "../commit-listeners.ts";
import { ResourceSet } from "../resource-set.ts";
import type { Change, Commit, ListQuery, Store, StoreConflict, StoreContents } from "../store.ts";
import { FileLock } from "./file-lock.ts";
import { Journal } from "./journal.ts";

/** How a SQLite store is opened. */
export interface SqliteStoreOptions {
  readonly file: string;
  readonly limits: ControlLimits;
  /** Begins another history, after a backup was restored: proxies take it as a whole. */
  readonly wantsNewEpoch: boolean;
}

/**
 * Keeps resources in one SQLite file, for one process at a time.
 *
 * Reads come from memory; a commit is in the file, and on the disk, before anybody hears of it.
 * A second process on the same file, a corrupt file and a folder that cannot be written to make
 * `open` throw StoreOpenError.
 */
export class SqliteStore implements Store {
  readonly epoch: string;
  readonly #lock: FileLock;
  readonly #journal: Journal;
  readonly #set: ResourceSet;
  readonly #listeners = new CommitListeners();

  private constructor(lock: FileLock, journal: Journal, limits: ControlLimits) {
    this.#lock = lock;
    this.#journal = journal;
    this.epoch = journal.epoch;
    this.#set = new ResourceSet(journal.read(), limits);
  }

  static open(options: SqliteStoreOptions): SqliteStore {
    const lock = FileLock.acquire(options.file);
    let journal: Journal | null = null;
    try {
      journal = Journal.open(options.file, options.wantsNewEpoch);
      return new SqliteStore(lock, journal, options.limits);
    } catch (error) {
      journal?.close();
      lock.release();
      throw error;
    }
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
    this.#journal.write(plan.value);
    this.#set.apply(plan.value);
    this.#listeners.tell(plan.value);
    return ok(plan.value);
  }

  subscribe(listener: (commit: Commit) => void): () => void {
    return this.#listeners.subscribe(listener);
  }

  async close(): Promise<void> {
    this.#journal.close();
    this.#lock.release();
  }
}
