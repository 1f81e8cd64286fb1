/**
 * Holds what the proxies recorded, in memory, within bounds.
 *
 * Before: routes/hops.ts. After: evidence/trace.ts.
 * Invariant: whatever a bound or a proxy left out is remembered for as long as a trace could be
 * taken for complete without it; of a request that began before this control did nobody knows that
 * all is here; what is evicted is evicted by whole roots.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../../core/clock.ts";
import { type HopBatch, type HopRecord, OTHER_KEYS } from "../../core/hop-record.ts";
import type { ControlLimits } from "../model/limits.ts";

/** Why evidence may be missing. */
export interface Gap {
  readonly code: "records-dropped" | "bound-reached" | "control-restarted";
  readonly detail: string;
}

/** All that is held of one request. */
export interface RootEvidence {
  readonly root: string;
  readonly records: readonly HopRecord[];
  readonly gaps: readonly Gap[];
  /** Not later than the request began, on the monotonic clock. */
  readonly beganMs: number;
}

interface Root {
  readonly root: string;
  /** By proxy, hop and time: a batch that is sent once more changes nothing, a call that is, does. */
  readonly records: Map<string, HopRecord>;
  readonly keys: Map<string, number>;
  readonly traceIds: Set<string>;
  beganMs: number;
  /** The earliest time that a proxy's clock gave, in milliseconds since the Unix epoch. */
  firstTimeMs: number;
  /** Records of it are known to be missing. */
  isPartial: boolean;
}

interface Drop {
  readonly proxy: string;
  readonly key: string;
  count: number;
  atMs: number;
}

/** What a proxy dropped shortly before the first record came may belong to it, too. */
const DROP_SLACK_MS = 10_000;

export class Evidence {
  readonly #limits: ControlLimits;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #startedEpochMs: number;
  readonly #roots = new Map<string, Root>();
  readonly #rootsByKey = new Map<string, Map<string, Root>>();
  readonly #recordsByKey = new Map<string, number>();
  readonly #rootsByTraceId = new Map<string, Set<string>>();
  readonly #evicted: LRUCache<string, true>;
  /** By proxy and key, the one that was told longest ago first. */
  readonly #drops = new Map<string, Drop>();
  readonly #dropsByKey = new Map<string, Set<Drop>>();
  /** When notes of drops themselves were dropped: then every key may be concerned. */
  #dropsForgottenAtMs = Number.NEGATIVE_INFINITY;
  #recordCount = 0;

  constructor(limits: ControlLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
    this.#startedEpochMs = clock.epochMs();
    this.#evicted = new LRUCache({ max: limits.evictedRootsMax });
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Takes a batch; the same one twice is as good as once. */
  add(batch: HopBatch["batch"], records: readonly HopRecord[]): void {
    for (const record of records) this.#addRecord(record);
    for (const [key, count] of Object.entries(batch.dropped)) {
      if (count > 0) this.#noteDrop(batch.proxy, key, count);
    }
  }

  /** The records of a root; none if it is not held. */
  recordsOf(root: string): readonly HopRecord[] {
    return [...(this.#roots.get(root)?.records.values() ?? [])];
  }

  /** What is held of a root, and what is missing; null if nothing is held. */
  ofRoot(root: string): RootEvidence | null {
    const held = this.#roots.get(root);
    if (held === undefined) return null;
    const records = [...held.records.values()];
    return { root, records, gaps: this.#gapsOf(held), beganMs: held.beganMs };
  }

  /** Roots with this trace id, the one that began first before the others. */
  rootsOfTraceId(traceId: string): string[] {
    const roots = [...(this.#rootsByTraceId.get(traceId) ?? [])];
    return roots.sort((a, b) => this.#firstTimeMs(a) - this.#firstTimeMs(b));
  }

  /** The records of those requests that came last, each request's together; at most `rootsMax`. */
  newestRoots(rootsMax: number): (readonly HopRecord[])[] {
    return [...this.#roots.values()].slice(-rootsMax).map(({ records }) => [...records.values()]);
  }

  #addRecord(record: HopRecord): void {
    const root = this.#roots.get(record.root) ?? this.#newRoot(record.root);
    const id = `${record.proxy} ${record.hop} ${record.mode} ${record.timeMs}`;
    const isNew = !root.records.has(id);
    if (isNew && root.records.size >= this.#limits.recordsPerRootMax) {
      root.isPartial = true;
      return;
    }
    if (!isNew) return;
    root.records.set(id, record);
    root.beganMs = Math.min(root.beganMs, this.#clock.nowMs() - record.totalMs - DROP_SLACK_MS);
    root.firstTimeMs = Math.min(root.firstTimeMs, record.timeMs);
    this.#recordCount++;
    this.#count(root, record.key, 1);
    this.#indexTraceId(root, record.traceId);
    this.#evict(record.key);
  }

  #newRoot(id: string): Root {
    const root: Root = {
      root: id,
      records: new Map(),
      keys: new Map(),
      traceIds: new Set(),
      beganMs: Number.POSITIVE_INFINITY,
      firstTimeMs: Number.POSITIVE_INFINITY,
      isPartial: this.#evicted.has(id),
    };
    this.#roots.set(id, root);
    return root;
  }

  #count(root: Root, key: string, change: number): void {
    root.keys.set(key, (root.keys.get(key) ?? 0) + change);
    const count = (this.#recordsByKey.get(key) ?? 0) + change;
    if (count === 0) this.#recordsByKey.delete(key);
    else this.#recordsByKey.set(key, count);
    const roots = this.#rootsByKey.get(key) ?? new Map<string, Root>();
    this.#rootsByKey.set(key, roots.set(root.root, root));
  }

  #indexTraceId(root: Root, traceId: string | null): void {
    if (traceId === null || root.traceIds.has(traceId)) return;
    root.traceIds.add(traceId);
    const roots = this.#rootsByTraceId.get(traceId) ?? new Set<string>();
    this.#rootsByTraceId.set(traceId, roots.add(root.root));
  }

  /** The oldest requests go first: those of the key that is over its bound, then any. */
  #evict(key: string): void {
    while ((this.#recordsByKey.get(key) ?? 0) > this.#limits.recordsPerKeyMax) {
      this.#evictFirst(this.#rootsByKey.get(key)?.values());
    }
    while (this.#recordCount > this.#limits.recordsMax) this.#evictFirst(this.#roots.values());
  }

  #evictFirst(roots: Iterator<Root> | undefined): void {
    const root: Root | undefined = roots?.next().value;
    if (root === undefined) return;
    this.#roots.delete(root.root);
    this.#evicted.set(root.root, true);
    this.#recordCount -= root.records.size;
    for (const [key, count] of root.keys) {
      this.#count(root, key, -count);
      this.#unindexKey(key, root.root);
    }
    for (const traceId of root.traceIds) this.#unindexTraceId(traceId, root.root);
  }

  #unindexKey(key: string, root: string): void {
    const roots = this.#rootsByKey.get(key);
    roots?.delete(root);
    if (roots?.size === 0) this.#rootsByKey.delete(key);
  }

  #unindexTraceId(traceId: string, root: string): void {
    const roots = this.#rootsByTraceId.get(traceId);
    roots?.delete(root);
    if (roots?.size === 0) this.#rootsByTraceId.delete(traceId);
  }

  #noteDrop(proxy: string, key: string, count: number): void {
    const before = this.#forgetDrop(`${proxy} ${key}`);
    const drop = { proxy, key, count: (before?.count ?? 0) + count, atMs: this.#clock.nowMs() };
    this.#drops.set(`${proxy} ${key}`, drop);
    const ofKey = this.#dropsByKey.get(key) ?? new Set<Drop>();
    this.#dropsByKey.set(key, ofKey.add(drop));
    if (this.#drops.size <= this.#limits.droppedNotesMax) return;
    const oldest = this.#forgetDrop(this.#drops.keys().next().value ?? "");
    this.#dropsForgottenAtMs = Math.max(this.#dropsForgottenAtMs, oldest?.atMs ?? 0);
  }

  #forgetDrop(id: string): Drop | null {
    const drop = this.#drops.get(id);
    if (drop === undefined) return null;
    this.#drops.delete(id);
    const ofKey = this.#dropsByKey.get(drop.key);
    ofKey?.delete(drop);
    if (ofKey?.size === 0) this.#dropsByKey.delete(drop.key);
    return drop;
  }

  #gapsOf(root: Root): Gap[] {
    const gaps: Gap[] = [];
    if (root.isPartial) {
      gaps.push({
        code: "bound-reached",
        detail: `more records than control holds of one request (${this.#limits.recordsPerRootMax}), or some were evicted`,
      });
    }
    if (this.#mayBeOlder(root)) {
      const detail =
        "the request, or its proxy's clock, is older than this start of control, which may have had records of it";
      gaps.push({ code: "control-restarted", detail });
    }
    if (this.#dropsForgottenAtMs >= root.beganMs) {
      gaps.push({ code: "records-dropped", detail: "more drops than control can remember" });
    }
    for (const { proxy, key, count } of this.#dropsSince(root)) {
      const what = `${count} records of ${key === OTHER_KEYS ? "keys not told apart" : key}`;
      gaps.push({ code: "records-dropped", detail: `proxy ${proxy} dropped ${what}` });
    }
    return gaps;
  }

  /** What was dropped since the request began and may be of it; as many as are named. */
  #dropsSince({ keys, beganMs }: Root): Drop[] {
    const drops: Drop[] = [];
    for (const key of new Set([...keys.keys(), OTHER_KEYS])) {
      for (const drop of this.#dropsByKey.get(key) ?? []) {
        if (drops.length >= this.#limits.namedProxiesMax) return drops;
        if (drop.atMs >= beganMs) drops.push(drop);
      }
    }
    return drops;
  }

  /**
   * Whether the request may have begun before control did. By its length alone one that was over is
   * not seen, whose last record waited for control; by its time alone none of a clock that is ahead.
   */
  #mayBeOlder({ beganMs, firstTimeMs }: Root): boolean {
    return beganMs + DROP_SLACK_MS < this.#startedAtMs || firstTimeMs < this.#startedEpochMs;
  }

  #firstTimeMs(root: string): number {
    return this.#roots.get(root)?.firstTimeMs ?? Number.POSITIVE_INFINITY;
  }
}
