/**
 * What control needs of a place that keeps resources; `memory/` and `sqlite/` are two of them.
 *
 * Before: routes/ (a valid spec). After: watch/live-tables.ts (the listener of commits).
 * Invariant: a commit that was answered is kept, and its listeners were told in the same turn of
 * the event loop, in the order of versions.
 */
import type { Result } from "../../core/result.ts";
import type { Kind, Resource, Specs } from "../model/resource.ts";

/** One thing to write. */
export type Change =
  | PutChange<"sandbox">
  | PutChange<"route-group">
  | {
      readonly op: "remove";
      readonly kind: Kind;
      readonly name: string;
      /** The state that the caller saw (model/resource.ts, etagOf). */
      readonly expect: string;
      /** Until when its key is remembered as expired; null: it is unknown at once. */
      readonly tombstoneUntilMs: number | null;
    }
  /** Drops a tombstone that ran out. */
  | { readonly op: "forget"; readonly key: string };

interface PutChange<K extends Kind> {
  readonly op: "put";
  readonly kind: K;
  readonly name: string;
  readonly spec: Specs[K];
  /** The state that the caller saw; null: it saw none. */
  readonly expect: string | null;
  readonly nowMs: number;
}

/** What a commit did to one resource. */
export interface Step {
  readonly before: Resource | null;
  readonly after: Resource | null;
}

/** The key of a resource that ended by itself. */
export interface Tombstone {
  readonly key: string;
  /** In milliseconds since the Unix epoch. */
  readonly untilMs: number;
}

/** One accepted write, whole or not at all. */
export interface Commit {
  /** Grows by one with each commit, except where nothing but `updatedMs` changed. */
  readonly version: number;
  readonly steps: readonly Step[];
  readonly buried: readonly Tombstone[];
  /** Keys whose tombstone went: it ran out, or the key lives again. */
  readonly forgotten: readonly string[];
}

/** Why a commit was not taken. */
export type StoreConflict =
  /** The resource is not as the caller saw it: read it again. */
  | { readonly code: "changed" }
  | { readonly code: "key-taken"; readonly key: string; readonly by: { kind: Kind; name: string } }
  | { readonly code: "full"; readonly kind: Kind; readonly limit: number };

/** Everything that a store holds. */
export interface StoreContents {
  readonly version: number;
  readonly resources: readonly Resource[];
  readonly tombstones: readonly Tombstone[];
}

/** Which part of a list. */
export interface ListQuery<K extends Kind> {
  /** Names after this one; null: from the first. */
  readonly after: string | null;
  readonly limit: number;
  readonly matches?: (resource: Resource<K>) => boolean;
}

/** A place that keeps resources. A failing disk or network makes a method reject. */
export interface Store {
  /** The identity of this store's history: another store, another epoch. */
  readonly epoch: string;
  read(): Promise<StoreContents>;
  get<K extends Kind>(kind: K, name: string): Promise<Resource<K> | null>;
  /** In the order of names. */
  list<K extends Kind>(kind: K, query: ListQuery<K>): Promise<readonly Resource<K>[]>;
  commit(changes: readonly Change[]): Promise<Result<Commit, StoreConflict>>;
  /** Tells of each commit once it is kept; returns what ends that. */
  subscribe(listener: (commit: Commit) => void): () => void;
  close(): Promise<void>;
}

/** A store that cannot be opened: message names the file and what to do. */
export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
}
