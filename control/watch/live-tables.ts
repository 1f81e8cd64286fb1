/**
 * The compiled tables of the running control, with the version of each change.
 *
 * Before: store/store.ts tells of a commit. After: watch/watchers.ts tells the proxies.
 * Invariant: a version is never given to two states, and what a proxy needs for one key is known
 * as a version for each workload, so that the writes of others do not make a sandbox unready.
 */
import type { Clock } from "../../core/clock.ts";
import { formatRevision } from "../../core/revision.ts";
import { Tables } from "../compile/tables.ts";
import type { ControlLimits } from "../model/limits.ts";
import type { ReadyQuestion } from "../model/ready.ts";
import type { Kind } from "../model/resource.ts";
import type { Commit, StoreContents } from "../store/store.ts";
import { History, type HistoryEntry } from "./history.ts";

/** Which versions a key's proxies need. */
interface KeyVersions {
  readonly keyVersion: number;
  readonly routeVersions: Map<string, number>;
  /** Of the last change, on the monotonic clock; before the start of this control: minus infinity. */
  changedAtMs: number;
}

export class LiveTables {
  readonly epoch: string;
  readonly tables: Tables;
  readonly history: History;
  readonly #limits: ControlLimits;
  readonly #clock: Clock;
  readonly #keyVersions = new Map<string, KeyVersions>();
  readonly #workloadVersions = new Map<string, number>();
  readonly #startVersion: number;
  #keysVersion: number;
  #version: number;

  constructor(epoch: string, contents: StoreContents, limits: ControlLimits, clock: Clock) {
    this.epoch = epoch;
    this.tables = new Tables(limits);
    this.history = new History(contents.version, limits.historyRevisionsMax);
    this.#limits = limits;
    this.#clock = clock;
    this.#startVersion = contents.version;
    this.#keysVersion = contents.version;
    this.#version = contents.version;
    this.#load(contents);
  }

  get version(): number {
    return this.#version;
  }

  get revision(): string {
    return this.revisionOf(this.#version);
  }

  revisionOf(version: number): string {
    return formatRevision(this.epoch, version);
  }

  /** The last version that changed the workload's table. */
  workloadVersion(workload: string): number {
    return this.#workloadVersions.get(workload) ?? this.#startVersion;
  }

  /** The last version that changed which keys there are. */
  get keysVersion(): number {
    return this.#keysVersion;
  }

  /** Takes a commit over; null if it changed nothing that proxies see. */
  apply(commit: Commit): HistoryEntry | null {
    const changes = this.tables.apply(commit);
    this.#version = commit.version;
    const keys = changes.keys;
    const keyCount = keys.added.length + keys.removed.length + keys.expired.length;
    if (changes.workloads.size === 0 && keyCount === 0) return null;
    if (keyCount > 0) this.#keysVersion = commit.version;
    for (const key of [...keys.removed, ...keys.expired]) this.#keyVersions.delete(key);
    for (const key of keys.added) this.#addKey(key, commit.version, this.#clock.nowMs());
    for (const workload of changes.workloads) this.#workloadVersions.set(workload, commit.version);
    for (const [key, workloads] of changes.routes) this.#noteRoutes(key, workloads);
    const entry = { version: commit.version, workloads: changes.workloads, keys };
    this.history.add(entry);
    this.#forgetEmptyWorkloads();
    return entry;
  }

  /** What the proxies must have applied for a resource to be ready; null if there is none. */
  readyQuestion(kind: Kind, name: string): ReadyQuestion | null {
    const compiled = this.tables.compiledOf(kind, name);
    const versions = compiled === null ? undefined : this.#keyVersions.get(compiled.key);
    if (compiled === null || versions === undefined) return null;
    const forks = new Map<string, readonly string[]>();
    for (const [workload, route] of compiled.routes) forks.set(workload, route.endpoints);
    return {
      forks,
      routeVersions: versions.routeVersions,
      keyVersion: versions.keyVersion,
      sinceWriteMs: this.#clock.nowMs() - versions.changedAtMs,
      missing: compiled.missing,
      hasTooManyMembers: compiled.hasTooManyMembers,
    };
  }

  /** The version that all proxies concerned with a resource need. */
  neededVersion(question: ReadyQuestion): number {
    return Math.max(question.keyVersion, ...question.routeVersions.values());
  }

  #load(contents: StoreContents): void {
    const steps = contents.resources.map((after) => ({ before: null, after }));
    const changes = this.tables.apply({ steps, buried: contents.tombstones, forgotten: [] });
    for (const key of changes.keys.added) {
      this.#addKey(key, contents.version, Number.NEGATIVE_INFINITY);
    }
    for (const [key, workloads] of changes.routes) this.#noteRoutes(key, workloads);
  }

  #addKey(key: string, keyVersion: number, changedAtMs: number): void {
    this.#keyVersions.set(key, { keyVersion, routeVersions: new Map(), changedAtMs });
  }

  /** Also notes workloads that the key forks no longer: their proxies must have let go of it. */
  #noteRoutes(key: string, workloads: ReadonlySet<string>): void {
    const versions = this.#keyVersions.get(key);
    if (versions === undefined) return;
    for (const workload of workloads) versions.routeVersions.set(workload, this.#version);
  }

  /** What no proxy can resume from needs no version of its own. */
  #forgetEmptyWorkloads(): void {
    if (this.#workloadVersions.size < this.#limits.sandboxesMax) return;
    for (const [workload, version] of this.#workloadVersions) {
      const isGone = this.tables.routesOf(workload).size === 0;
      if (isGone && version <= this.history.from) this.#workloadVersions.delete(workload);
    }
  }
}
