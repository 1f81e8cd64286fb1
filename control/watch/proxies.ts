/**
 * The proxies that report: who is out there, what each has applied, when it was last heard.
 *
 * Before: routes/proxies.ts (a status). After: watch/readiness.ts.
 * Invariant: a silent proxy counts as one that did not apply until its lease and the grace are
 * over; only `leaving` ends it before.
 */
import type { Clock } from "../../core/clock.ts";
import type { EndpointCheck, ProxyStatus } from "../../core/proxy-status.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { compareRevisions } from "../../core/revision.ts";
import { CONTROL_ARM_SUFFIX } from "../../core/routing-key.ts";
import type { ControlLimits } from "../model/limits.ts";
import type { ProxyView, ProxyViews } from "../model/ready.ts";

/** One proxy as control knows it. */
export interface KnownProxy extends ProxyView {
  readonly status: ProxyStatus;
  /** Its last status, in milliseconds since the Unix epoch. */
  readonly lastStatusMs: number;
  /** Its last status, on the monotonic clock. */
  readonly heardAtMs: number;
  readonly present: boolean;
  readonly connected: boolean;
  /** Address that its status came from. */
  readonly from: string;
}

/** What a report came to. */
export type ReportOutcome = "joined" | "updated" | "left";

export class Proxies implements ProxyViews {
  readonly #epoch: string;
  readonly #limits: ControlLimits;
  readonly #clock: Clock;
  readonly #isLiveKey: (key: string) => boolean;
  readonly #byInstance = new Map<string, Entry>();
  readonly #byWorkload = new Map<string, Set<Entry>>();
  readonly #streams = new Map<string, number>();
  readonly #lastSeen = new Map<string, number>();
  /** When the last of those that were forgotten while they were silent was heard, on the monotonic clock. */
  forgottenHeardAtMs = Number.NEGATIVE_INFINITY;

  /** `isLiveKey` tells which keys are worth remembering. */
  constructor(
    epoch: string,
    isLiveKey: (key: string) => boolean,
    limits: ControlLimits,
    clock: Clock,
  ) {
    this.#epoch = epoch;
    this.#isLiveKey = isLiveKey;
    this.#limits = limits;
    this.#clock = clock;
  }

  get count(): number {
    return this.#byInstance.size;
  }

  /** Takes a status; `from` is the address that it came from. Fails when there are too many. */
  report(instance: string, status: ProxyStatus, from: string): Result<ReportOutcome, "too-many"> {
    this.#noteSeen(status);
    const known = this.#byInstance.get(instance);
    if (status.leaving) {
      if (known !== undefined) this.#delete(known);
      return ok("left");
    }
    if (known === undefined && !this.#hasRoom()) return err("too-many");
    if (known !== undefined) this.#unindex(known);
    const entry = known ?? new Entry(instance, this.#streams, this.#clock);
    entry.update(status, from, this.#epoch, this.#limits.leaseGraceMs);
    this.#byInstance.set(instance, entry);
    for (const workload of concernedBy(status)) this.#indexOf(workload).add(entry);
    return ok(known === undefined ? "joined" : "updated");
  }

  /** Notes that a proxy watches; returns what notes its end. */
  watching(instance: string): () => void {
    this.#streams.set(instance, (this.#streams.get(instance) ?? 0) + 1);
    return () => {
      const left = (this.#streams.get(instance) ?? 1) - 1;
      if (left === 0) this.#streams.delete(instance);
      else this.#streams.set(instance, left);
    };
  }

  /** Instances that watch, also those that have posted no status yet. */
  watchers(): Iterable<string> {
    return this.#streams.keys();
  }

  get(instance: string): KnownProxy | null {
    return this.#byInstance.get(instance) ?? null;
  }

  of(workload: string): Iterable<KnownProxy> {
    return this.#byWorkload.get(workload) ?? [];
  }

  all(): Iterable<KnownProxy> {
    return this.#byInstance.values();
  }

  workloads(): Iterable<string> {
    return this.#byWorkload.keys();
  }

  /** When a request with the key was last seen, in milliseconds since the Unix epoch. */
  lastSeenMs(key: string): number | null {
    return this.#lastSeen.get(key) ?? null;
  }

  forgetKeys(keys: readonly string[]): void {
    for (const key of keys) this.#lastSeen.delete(key);
  }

  /** Forgets those who were silent for long, and says whether anybody's standing changed. */
  sweep(): boolean {
    let isChanged = false;
    for (const entry of this.#byInstance.values()) {
      if (entry.noteStanding()) isChanged = true;
      if (entry.silentMs() > this.#limits.silentProxyMs) this.#forget(entry);
    }
    return isChanged;
  }

  /** Times from a clock that runs ahead would keep a sandbox alive; they count as now. */
  #noteSeen(status: ProxyStatus): void {
    const nowMs = this.#clock.epochMs();
    for (const [seen, timeMs] of Object.entries(status.lastSeen)) {
      const isBase = seen.endsWith(CONTROL_ARM_SUFFIX);
      const key = isBase ? seen.slice(0, -CONTROL_ARM_SUFFIX.length) : seen;
      if (!this.#isLiveKey(key)) continue;
      const atMs = Math.min(timeMs, nowMs);
      if (atMs > (this.#lastSeen.get(key) ?? 0)) this.#lastSeen.set(key, atMs);
    }
  }

  /** A silent one gives way to one that speaks. */
  #hasRoom(): boolean {
    if (this.#byInstance.size < this.#limits.proxiesMax) return true;
    for (const entry of this.#byInstance.values()) {
      if (entry.counts) continue;
      this.#forget(entry);
      return true;
    }
    return false;
  }

  /** It said no goodbye: what it knows of requests while it was there is missing for good. */
  #forget(entry: Entry): void {
    this.forgottenHeardAtMs = Math.max(this.forgottenHeardAtMs, entry.heardAtMs);
    this.#delete(entry);
  }

  #delete(entry: Entry): void {
    this.#byInstance.delete(entry.instance);
    this.#unindex(entry);
  }

  #unindex(entry: Entry): void {
    for (const workload of concernedBy(entry.status)) {
      const entries = this.#byWorkload.get(workload);
      entries?.delete(entry);
      if (entries?.size === 0) this.#byWorkload.delete(workload);
    }
  }

  #indexOf(workload: string): Set<Entry> {
    const entries = this.#byWorkload.get(workload) ?? new Set<Entry>();
    this.#byWorkload.set(workload, entries);
    return entries;
  }
}

/** Workloads that a proxy stands next to, and those to which it routes calls. */
function concernedBy({ workloads, callees = [] }: ProxyStatus): readonly string[] {
  return [...workloads, ...callees];
}

const NO_STATUS: ProxyStatus = {
  workloads: [],
  mode: "inbound",
  sandbox: null,
  listen: "",
  admin: null,
  version: "",
  leaseMs: 0,
  applied: [],
  rejected: null,
  endpoints: {},
  lastSeen: {},
  counters: {},
  leaving: false,
};

class Entry implements KnownProxy {
  readonly instance: string;
  readonly #streams: ReadonlyMap<string, number>;
  readonly #clock: Clock;
  status = NO_STATUS;
  from = "";
  appliedVersion = -1;
  lastStatusMs = 0;
  heardAtMs = 0;
  #graceMs = 0;
  #stood = true;

  constructor(instance: string, streams: ReadonlyMap<string, number>, clock: Clock) {
    this.instance = instance;
    this.#streams = streams;
    this.#clock = clock;
  }

  update(status: ProxyStatus, from: string, epoch: string, graceMs: number): void {
    // What it saw was noted already, and can be long.
    this.status = { ...status, lastSeen: {} };
    this.from = from;
    this.appliedVersion = appliedVersionOf(status.applied, epoch);
    this.lastStatusMs = this.#clock.epochMs();
    this.heardAtMs = this.#clock.nowMs();
    this.#graceMs = graceMs;
    this.#stood = true;
  }

  get workloads(): readonly string[] {
    return this.status.workloads;
  }

  get mode(): ProxyStatus["mode"] {
    return this.status.mode;
  }

  get sandbox(): string | null {
    return this.status.sandbox;
  }

  get endpoints(): Readonly<Record<string, EndpointCheck>> {
    return this.status.endpoints;
  }

  get present(): boolean {
    return this.silentMs() <= this.status.leaseMs;
  }

  get counts(): boolean {
    return this.silentMs() <= this.status.leaseMs + this.#graceMs;
  }

  get connected(): boolean {
    return this.#streams.has(this.instance);
  }

  silentMs(): number {
    return this.#clock.nowMs() - this.heardAtMs;
  }

  /** Says whether it stopped to count since it was last asked. */
  noteStanding(): boolean {
    const stands = this.counts;
    const isChanged = stands !== this.#stood;
    this.#stood = stands;
    return isChanged;
  }
}

/** The oldest of what the workers have; -1 if one has none, or one of another store. */
function appliedVersionOf(applied: readonly (string | null)[], epoch: string): number {
  let oldest = applied.length === 0 ? -1 : Number.POSITIVE_INFINITY;
  for (const revision of applied) {
    const isOurs = revision !== null && compareRevisions(revision, `${epoch}.0`) !== "unrelated";
    oldest = Math.min(oldest, isOurs ? Number(revision.slice(epoch.length + 1)) : -1);
  }
  return oldest;
}
