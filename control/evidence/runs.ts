/**
 * The runs that are announced, and what proxies observed while they were open.
 *
 * Before: routes/runs.ts (announced), routes/hops.ts (observed). After: routes/runs.ts, which judges.
 * Invariant: what a bound or a proxy left out of a run is remembered with it.
 */
import type { Clock } from "../../core/clock.ts";
import type { HopBatch, HopRecord } from "../../core/hop-record.ts";
import type { Observation } from "../../core/observation.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { RunsEvent } from "../../core/watch-events.ts";
import type { ControlLimits } from "../model/limits.ts";
import { randomId } from "../store/resource-set.ts";

/** One run as control holds it. `V` is what its judge says. */
export interface Run<V> {
  readonly id: string;
  readonly kind: "propagation";
  /** On the monotonic clock, and in milliseconds since the Unix epoch. */
  readonly openedAtMs: number;
  readonly openedEpochMs: number;
  readonly untilMs: number;
  /** Requests of which a record came while it was open. */
  readonly roots: ReadonlySet<string>;
  readonly observations: readonly Observation[];
  /** What was left out: by proxies, and here; requests that were not noted. */
  readonly observationsDropped: number;
  readonly rootsDropped: number;
  /** Null until it was judged; then nothing else is held. */
  readonly verdict: V | null;
}

interface Held<V> {
  readonly id: string;
  readonly kind: "propagation";
  readonly openedAtMs: number;
  readonly openedEpochMs: number;
  untilMs: number;
  readonly roots: Set<string>;
  readonly observations: Observation[];
  readonly droppedByProxy: Map<string, number>;
  droppedHere: number;
  rootsDropped: number;
  verdict: V | null;
}

export class Runs<V> {
  readonly #limits: ControlLimits;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #runs = new Map<string, Held<V>>();

  constructor(limits: ControlLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Opens a run for so long; fails while as many are open as may be. */
  open(kind: "propagation", durationMs: number): Result<Run<V>, "too-many"> {
    if (this.#openRuns().length >= this.#limits.runsOpenMax) return err("too-many");
    const openedAtMs = this.#clock.nowMs();
    const run: Held<V> = {
      id: randomId(),
      kind,
      openedAtMs,
      openedEpochMs: this.#clock.epochMs(),
      untilMs: openedAtMs + durationMs,
      roots: new Set(),
      observations: [],
      droppedByProxy: new Map(),
      droppedHere: 0,
      rootsDropped: 0,
      verdict: null,
    };
    this.#runs.set(run.id, run);
    this.#forgetOldest();
    return ok(viewOf(run));
  }

  get(id: string): Run<V> | null {
    const run = this.#runs.get(id);
    return run === undefined ? null : viewOf(run);
  }

  isOpen(id: string): boolean {
    return this.#openRuns().some((run) => run.id === id);
  }

  /** What proxies are told: the runs that are open, and for how long. */
  announced(): RunsEvent["runs"] {
    const nowMs = this.#clock.nowMs();
    return this.#openRuns().map(({ id, kind, untilMs }) => ({ id, kind, forMs: untilMs - nowMs }));
  }

  /** Takes what a batch says for every run that is open. */
  add(
    { proxy, observationsDropped }: HopBatch["batch"],
    records: readonly HopRecord[],
    observations: readonly Observation[],
  ): void {
    for (const run of this.#openRuns()) {
      for (const { root } of records) this.#noteRoot(run, root);
      for (const one of observations) this.#observe(run, one);
      if (observationsDropped === undefined) continue;
      this.#noteDropped(run, proxy, observationsDropped);
    }
  }

  /** Keeps the verdict, and lets go of what it was made from; the run is over. */
  judged(id: string, verdict: V): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    run.verdict = verdict;
    run.untilMs = Math.min(run.untilMs, this.#clock.nowMs());
    run.observations.length = 0;
    run.roots.clear();
    run.droppedByProxy.clear();
  }

  #openRuns(): Held<V>[] {
    const nowMs = this.#clock.nowMs();
    return [...this.#runs.values()].filter((run) => run.untilMs > nowMs);
  }

  #noteRoot(run: Held<V>, root: string): void {
    if (run.roots.has(root)) return;
    if (run.roots.size < this.#limits.runRootsMax) run.roots.add(root);
    else run.rootsDropped++;
  }

  /** A proxy tells its sum each time. Of more proxies than there may be they are not told apart. */
  #noteDropped(run: Held<V>, proxy: string, count: number): void {
    const { droppedByProxy } = run;
    const before = droppedByProxy.get(proxy);
    const isOneTooMany = before === undefined && droppedByProxy.size >= this.#limits.proxiesMax;
    if (isOneTooMany) run.droppedHere += count;
    else droppedByProxy.set(proxy, Math.max(before ?? 0, count));
  }

  #observe(run: Held<V>, one: Observation): void {
    if (run.observations.length < this.#limits.runObservationsMax) run.observations.push(one);
    else run.droppedHere++;
  }

  /** Runs that are over go before any that is open: of those there are fewer than are kept. */
  #forgetOldest(): void {
    const open = new Set(this.#openRuns());
    for (const run of this.#runs.values()) {
      if (this.#runs.size <= this.#limits.runsKeptMax) return;
      if (!open.has(run)) this.#runs.delete(run.id);
    }
  }
}

function viewOf<V>(run: Held<V>): Run<V> {
  const byProxies = [...run.droppedByProxy.values()].reduce((sum, count) => sum + count, 0);
  return { ...run, observationsDropped: byProxies + run.droppedHere };
}
