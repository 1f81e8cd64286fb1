import { LRUCache } from "lru-cache";
import { LAST_SEEN_KEYS_MAX } from "../telemetry/last-seen.ts";
import { countedOnly, type MetricSample, sumSamples } from "../telemetry/samples.ts";
import type { Figures, ToWorker } from "./messages.ts";

/** A worker, as far as figures are concerned. */
export interface FigureGiver {
  send(message: ToWorker): void;
}

/** How long a scrape waits for workers, in milliseconds; then what they said last counts. */
const ASK_MS = 1_000;

/**
 * What the workers have counted and seen, as if one process had.
 *
 * Before: worker-source.ts, in the workers. After: watch/report.ts (status), admin (`/metrics`).
 * Invariant: a counter never goes back: what a worker had counted stays when it is gone, and one that
 * does not answer counts with what it said last.
 */
export class WorkerFigures {
  readonly #last = new Map<FigureGiver, Figures>();
  readonly #seen = new LRUCache<string, number>({ max: LAST_SEEN_KEYS_MAX });
  #goneCounters: Record<string, number> = {};
  #goneMetrics: MetricSample[] = [];
  #asks = 0;
  #asked: { readonly number: number; readonly waiting: Set<FigureGiver>; over(): void } | null =
    null;

  add(worker: FigureGiver): void {
    this.#last.set(worker, { counters: {}, lastSeen: {}, metrics: [] });
  }

  /** Takes what a worker says; `number` names the question, null where nobody asked. */
  take(worker: FigureGiver, figures: Figures, number: number | null): void {
    if (!this.#last.has(worker)) return;
    this.#last.set(worker, figures);
    for (const [key, ms] of Object.entries(figures.lastSeen)) {
      if (ms > (this.#seen.get(key) ?? 0)) this.#seen.set(key, ms);
    }
    if (number !== null && this.#asked?.number === number) this.#answered(worker);
  }

  remove(worker: FigureGiver): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    this.#goneCounters = sumCounters([this.#goneCounters, last.counters]);
    this.#goneMetrics = sumSamples([this.#goneMetrics, countedOnly(last.metrics)]);
    this.#answered(worker);
  }

  counters(): Record<string, number> {
    const all = [...this.#last.values()].map(({ counters }) => counters);
    return sumCounters([this.#goneCounters, ...all]);
  }

  /** Key to milliseconds since the Unix epoch. */
  lastSeen(): Record<string, number> {
    return Object.fromEntries(this.#seen.entries());
  }

  /** Asks every worker, for at most a second, and sums them. */
  async metrics(own: readonly MetricSample[]): Promise<MetricSample[]> {
    await this.#ask();
    const all = [...this.#last.values()].map(({ metrics }) => metrics);
    return sumSamples([own, this.#goneMetrics, ...all]);
  }

  /** Scrapes that come together share one question. */
  #askRunning: Promise<void> | null = null;

  #ask(): Promise<void> {
    this.#askRunning ??= this.#askAll().finally(() => {
      this.#askRunning = null;
    });
    return this.#askRunning;
  }

  async #askAll(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const number = ++this.#asks;
    this.#asked = { number, waiting: new Set(this.#last.keys()), over: resolve };
    for (const worker of this.#last.keys()) worker.send({ kind: "ask", number });
    if (this.#last.size === 0) resolve();
    const late = setTimeout(resolve, ASK_MS);
    await promise;
    clearTimeout(late);
    this.#asked = null;
  }

  #answered(worker: FigureGiver): void {
    if (this.#asked === null) return;
    this.#asked.waiting.delete(worker);
    if (this.#asked.waiting.size === 0) this.#asked.over();
  }
}

/** Counters by name, summed. */
export function sumCounters(
  of: readonly Readonly<Record<string, number>>[],
): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counters of of) {
    for (const [name, count] of Object.entries(counters)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}
