/**
 * The proxies that watch: what each is told, when, and with which revision as id.
 *
 * Before: watch/live-tables.ts (a commit was applied). After: the proxy's watch/subscribe.ts.
 * Invariants: a revision stands only on the last event of it that a watcher gets, so that "applied
 * N" means all of N; an event is encoded once for all who get it; a watcher that does not read is
 * dropped at a bounded queue and may resume.
 */

import { err, ok, type Result } from "../../core/result.ts";
import { compareRevisions } from "../../core/revision.ts";
import { encodeSse } from "../../core/sse.ts";
import type { RunsEvent } from "../../core/watch-events.ts";
import type { ControlLimits } from "../model/limits.ts";
import { type HistoryEntry, isEmpty, mergeKeyChanges } from "./history.ts";
import type { LiveTables } from "./live-tables.ts";

/** Where a watcher's events go. */
export interface WatchSink {
  write(bytes: Buffer): void;
  /** Bytes that were written and not yet taken. */
  queuedBytes(): number;
  /** Ends the stream at once, whatever is queued. */
  drop(): void;
}

/** What a proxy asked for. */
export interface WatchRequest {
  /** Workloads by name, or all of one namespace. */
  readonly workloads: readonly string[];
  readonly namespace: string | null;
  /** The revision that it has (`Last-Event-ID`); null if none. */
  readonly lastRevision: string | null;
}

/** Why a watch is refused. */
export type WatchRefusal = "too-many" | "revision-ahead";

interface Watcher {
  readonly workloads: readonly string[];
  readonly namespace: string | null;
  readonly sink: WatchSink;
  /** It was sent all that concerns it up to this version. */
  version: number;
}

export class Watchers {
  readonly #live: LiveTables;
  readonly #limits: ControlLimits;
  readonly #announcedRuns: () => RunsEvent["runs"];
  readonly #all = new Set<Watcher>();
  /** By `namespace/name`, and by `namespace` for those who watch a whole one. */
  readonly #byInterest = new Map<string, Set<Watcher>>();
  #keysTimer: NodeJS.Timeout | null = null;
  #hasPendingKeys = false;
  #droppedCount = 0;
  #encoded = new Map<string, Buffer>();
  #knownTail: { readonly version: number; readonly bytes: Buffer } | null = null;

  /** `announcedRuns`: those that are open, of which a new watcher has to hear. */
  constructor(
    live: LiveTables,
    limits: ControlLimits,
    announcedRuns: () => RunsEvent["runs"] = () => [],
  ) {
    this.#live = live;
    this.#limits = limits;
    this.#announcedRuns = announcedRuns;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Watchers that were dropped because they did not read. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Begins a stream: a snapshot, or what was missed since the last revision. Returns what ends it. */
  open(request: WatchRequest, sink: WatchSink): Result<() => void, WatchRefusal> {
    if (this.#all.size >= this.#limits.watchersMax) return err("too-many");
    const missed = this.#missedSince(request.lastRevision);
    if (missed === "ahead") return err("revision-ahead");
    const watcher: Watcher = { ...request, sink, version: missed?.from ?? this.#live.version };
    this.#all.add(watcher);
    for (const interest of interestsOf(watcher)) this.#interested(interest).add(watcher);
    if (missed === null) this.#sendSnapshot(watcher);
    else this.#sendMissed(watcher, missed.entries);
    this.#sendRuns(watcher);
    this.#encoded = new Map();
    return ok(() => this.#remove(watcher));
  }

  /** Tells everybody concerned of a change, in the turn of the event loop in which it was kept. */
  publish(entry: HistoryEntry): void {
    for (const watcher of this.#concerned(entry)) this.#sendSince(watcher, entry.version);
    if (!isEmpty(entry.keys)) this.#publishKeys();
    this.#encoded = new Map();
  }

  /** Tells everybody that control is there; to be called every `heartbeatMs`. */
  heartbeat(): void {
    if (!this.#hasPendingKeys) this.#catchUp();
    this.#broadcast("heartbeat", { revision: this.#live.revision });
  }

  /** Tells everybody which runs are open now, none included. */
  announceRuns(): void {
    this.#broadcast("runs", { runs: this.#announcedRuns() });
  }

  /** Asks everybody for their hop records. */
  flush(id: string): void {
    this.#broadcast("flush", { flush: id });
  }

  /** Ends all streams. */
  close(): void {
    if (this.#keysTimer !== null) clearTimeout(this.#keysTimer);
    this.#keysTimer = null;
    for (const watcher of this.#all) watcher.sink.drop();
    this.#all.clear();
    this.#byInterest.clear();
  }

  #missedSince(
    lastRevision: string | null,
  ): { from: number; entries: readonly HistoryEntry[] } | "ahead" | null {
    if (lastRevision === null) return null;
    const order = compareRevisions(lastRevision, this.#live.revision);
    if (order === "newer") return "ahead";
    if (order === "unrelated") return null;
    const from = Number(lastRevision.split(".")[1]);
    const entries = this.#live.history.since(from);
    return entries === null ? null : { from, entries };
  }

  /** Keys at once, then at most one event in each window, for whoever is behind by then. */
  #publishKeys(): void {
    if (this.#keysTimer !== null) {
      this.#hasPendingKeys = true;
      return;
    }
    for (const watcher of this.#all) {
      if (watcher.version < this.#live.version) this.#sendSince(watcher, this.#live.version);
    }
    this.#keysTimer = setTimeout(() => this.#windowOver(), this.#limits.keysWindowMs);
    this.#keysTimer.unref();
  }

  #windowOver(): void {
    this.#keysTimer = null;
    if (!this.#hasPendingKeys) return;
    this.#hasPendingKeys = false;
    this.#publishKeys();
    this.#encoded = new Map();
  }

  /** Whoever is behind and was not told concerns nothing of what came since. */
  #catchUp(): void {
    for (const watcher of this.#all) watcher.version = this.#live.version;
  }

  #sendSince(watcher: Watcher, version: number): void {
    const entries = this.#live.history.since(watcher.version);
    if (entries === null) this.#sendSnapshot(watcher);
    else this.#sendEntries(watcher, entries, version);
  }

  /** A resumed stream always gets one event, so that it knows where it stands. */
  #sendMissed(watcher: Watcher, entries: readonly HistoryEntry[]): void {
    const isSilent = !this.#sendEntries(watcher, entries, this.#live.version);
    if (isSilent) this.#send(watcher, [this.#keysEvent([], this.#live.revision)]);
  }

  /** Keys first, then each own workload; the new revision stands on the last event only. */
  #sendEntries(watcher: Watcher, entries: readonly HistoryEntry[], version: number): boolean {
    const changed = changedWorkloads(watcher, entries);
    const keysChanged = entries.some((entry) => !isEmpty(entry.keys));
    const before = this.#live.revisionOf(watcher.version);
    const after = this.#live.revisionOf(version);
    const events: Buffer[] = [];
    if (keysChanged) events.push(this.#keysEvent(entries, changed.length === 0 ? after : before));
    for (const [index, workload] of changed.entries()) {
      const isLast = index === changed.length - 1;
      events.push(this.#routesEvent(workload, isLast ? after : before));
    }
    watcher.version = version;
    this.#send(watcher, events);
    return events.length > 0;
  }

  /** None included: one that is over by now may be open to a proxy that was away. */
  #sendRuns(watcher: Watcher): void {
    const runs = this.#announcedRuns();
    this.#send(watcher, [Buffer.from(encodeSse("runs", JSON.stringify({ runs })))]);
  }

  #sendSnapshot(watcher: Watcher): void {
    const workloads = this.#ownWorkloads(watcher).map(
      (name) => `${JSON.stringify(name)}:{"routes":${this.#live.tables.routesJson(name)}}`,
    );
    const { revision } = this.#live;
    const head = `id: ${revision}\nevent: snapshot\ndata: {"revision":"${revision}","workloads":{${workloads.join(",")}}`;
    watcher.version = this.#live.version;
    this.#send(watcher, [Buffer.from(head), this.#knownTailBytes()]);
  }

  /** The end of every snapshot: all keys; the same bytes for all who come between two changes. */
  #knownTailBytes(): Buffer {
    const { tables, keysVersion } = this.#live;
    if (this.#knownTail?.version !== keysVersion) {
      const known = JSON.stringify([...tables.keys()]);
      const expired = JSON.stringify(tables.expiredKeys());
      const bytes = Buffer.from(`,"known":${known},"expired":${expired}}\n\n`);
      this.#knownTail = { version: keysVersion, bytes };
    }
    return this.#knownTail.bytes;
  }

  #keysEvent(entries: readonly HistoryEntry[], id: string): Buffer {
    const from = entries[0]?.version ?? 0;
    const to = entries.at(-1)?.version ?? 0;
    return this.#encode(`keys ${from} ${to} ${id}`, () =>
      encodeSse("keys", JSON.stringify(mergeKeyChanges(entries)), id),
    );
  }

  #routesEvent(workload: string, id: string): Buffer {
    return this.#encode(`routes ${workload} ${id}`, () => {
      const routes = this.#live.tables.routesJson(workload);
      const name = JSON.stringify(workload);
      return encodeSse("routes", `{"workload":${name},"table":{"routes":${routes}}}`, id);
    });
  }

  #encode(id: string, text: () => string): Buffer {
    const bytes = this.#encoded.get(id) ?? Buffer.from(text());
    this.#encoded.set(id, bytes);
    return bytes;
  }

  #broadcast(event: string, content: object): void {
    const bytes = Buffer.from(encodeSse(event, JSON.stringify(content)));
    for (const watcher of this.#all) this.#send(watcher, [bytes]);
  }

  /** The queue is looked at before, so that the events of one revision, of any size, fit an empty one. */
  #send(watcher: Watcher, events: readonly Buffer[]): void {
    if (!this.#all.has(watcher)) return;
    if (watcher.sink.queuedBytes() > this.#limits.watcherQueuedBytesMax) this.#drop(watcher);
    else for (const bytes of events) watcher.sink.write(bytes);
  }

  #drop(watcher: Watcher): void {
    this.#droppedCount++;
    this.#remove(watcher);
    watcher.sink.drop();
  }

  #remove(watcher: Watcher): void {
    this.#all.delete(watcher);
    for (const interest of interestsOf(watcher)) {
      const watchers = this.#byInterest.get(interest);
      watchers?.delete(watcher);
      if (watchers?.size === 0) this.#byInterest.delete(interest);
    }
  }

  #concerned(entry: HistoryEntry): Set<Watcher> {
    const concerned = new Set<Watcher>();
    for (const workload of entry.workloads) {
      for (const interest of [workload, namespaceOf(workload)]) {
        for (const watcher of this.#byInterest.get(interest) ?? []) concerned.add(watcher);
      }
    }
    return concerned;
  }

  #interested(interest: string): Set<Watcher> {
    const watchers = this.#byInterest.get(interest) ?? new Set<Watcher>();
    this.#byInterest.set(interest, watchers);
    return watchers;
  }

  #ownWorkloads(watcher: Watcher): readonly string[] {
    if (watcher.namespace === null) return watcher.workloads;
    return [...this.#live.tables.workloads()].filter(
      (workload) => namespaceOf(workload) === watcher.namespace,
    );
  }
}

function interestsOf(watcher: Watcher): readonly string[] {
  return watcher.namespace === null ? watcher.workloads : [watcher.namespace];
}

function changedWorkloads(watcher: Watcher, entries: readonly HistoryEntry[]): string[] {
  const changed = new Set<string>();
  for (const entry of entries) {
    for (const workload of entry.workloads) {
      const isOwn =
        watcher.namespace === null
          ? watcher.workloads.includes(workload)
          : namespaceOf(workload) === watcher.namespace;
      if (isOwn) changed.add(workload);
    }
  }
  return [...changed];
}

function namespaceOf(workload: string): string {
  return workload.slice(0, workload.indexOf("/"));
}
