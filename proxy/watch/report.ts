import type { HopBatch } from "../../core/hop-record.ts";
import { type ProxyStatus, STATUS_INTERVAL_MS } from "../../core/proxy-status.ts";
import type { ControlApi } from "./control-api.ts";

/**
 * Tells control what this proxy has applied and seen: its status, and its hop records.
 *
 * Before: watch.ts. After: control. Off the request path: on timers, one POST of each kind at a time.
 * Invariants: a status is made when it is sent, so it is never older than the one before; hop records
 * leave their source only when control has answered.
 */

/** Bytes of records in one batch: half of what control takes. */
export const BATCH_BYTES_MAX = 512 * 1024;
/** Bytes of observations beside them. */
export const OBSERVATIONS_BYTES_MAX = 256 * 1024;

/** Media type of a batch. */
const NDJSON = "application/x-ndjson";

/** How often hop records are looked for: while there are none, and after a batch of some. */
const HOPS_INTERVAL_MS = 250;
const HOPS_SOON_MS = 25;

/** From here on a batch is large, and the next one follows at once. */
const BATCH_BYTES_LARGE = BATCH_BYTES_MAX / 2;

/** Pauses after a POST that failed: they double from the first to the last. */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = STATUS_INTERVAL_MS;

/** Keys in one status; the others are in the next one. */
const LAST_SEEN_PER_STATUS = 2_000;

/** Flushes that may wait for an answer; control asks for one at a time. */
const FLUSHES_MAX = 100;

/** Tries to answer a flush; control gives up on it sooner than on records. */
const FLUSH_TRIES = 4;

/** Where hop records wait; they stay there until they are settled. */
export interface HopSource {
  readonly held: number;
  /** Whether something waits behind the batch that is out. */
  readonly hasMore: boolean;
  /** Records as NDJSON of at most `bytesMax` bytes; null if there is nothing to tell. */
  take(bytesMax: number): TakenHops | null;
  confirm(taken: TakenHops): void;
  giveBack(taken: TakenHops): void;
  discard(taken: TakenHops): void;
}

/** Where observations wait, while control observes and until it has them. */
export interface ObservationSource {
  /** Left out since the window opened. */
  readonly dropped: number;
  /** Begins, prolongs or (0) ends the window, in milliseconds from now. */
  observeFor(ms: number): void;
  /** The oldest as NDJSON of at most `bytesMax` bytes; null if there are none. */
  take(bytesMax: number): { readonly lines: string; readonly count: number } | null;
  /** The first `count` are settled: control has them, or they count as left out. */
  remove(count: number, wasTaken: boolean): void;
}

/** Records on their way to control. */
export interface TakenHops {
  readonly lines: string;
  readonly count: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/** What the reports are made of. */
export interface ReporterOptions {
  readonly api: Pick<ControlApi, "post">;
  readonly instance: string;
  readonly hops: HopSource;
  readonly observations: ObservationSource;
  readonly statusIntervalMs?: number;
  /** All but what the reporter adds. */
  status(): Omit<ProxyStatus, "lastSeen" | "leaving">;
  /** Key to milliseconds since the Unix epoch. */
  lastSeen(): Readonly<Record<string, number>>;
  /** Told once for each kind of POST when it begins to fail. */
  onFault(why: string): void;
}

/** The reports of one proxy: what control has, and what is to be sent next. */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #status: Sending;
  readonly #hops: Sending;
  readonly #flushes: string[] = [];
  #seenTold: ReadonlyMap<string, number> = new Map();
  #timers: NodeJS.Timeout[] = [];
  #soon: NodeJS.Timeout | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#status = new Sending(() => this.#postStatus(false), options.onFault);
    this.#hops = new Sending(() => this.#postHops(false), options.onFault);
  }

  start(): void {
    const intervalMs = this.#options.statusIntervalMs ?? STATUS_INTERVAL_MS;
    this.#timers = [
      setInterval(() => this.#status.request(), intervalMs).unref(),
      setInterval(() => this.#hops.request(), HOPS_INTERVAL_MS).unref(),
    ];
  }

  /** Something that the status says has changed: it is sent now, or right after the one under way. */
  changed(): void {
    this.#status.request();
  }

  /** Somebody waits for hop records to leave: they are sent now, whatever failed before. */
  hurry(): void {
    this.#hops.retryNow();
  }

  /** Control is back: what failed before is tried now. */
  reconnected(): void {
    this.#status.retryNow();
    this.#hops.retryNow();
  }

  /** Sends every record that is held, then a batch that names this flush, even an empty one. */
  flush(id: string): void {
    if (this.#flushes.length >= FLUSHES_MAX) this.#flushes.shift();
    this.#flushes.push(id);
    this.#hops.retryNow();
  }

  /**
   * Sends the records that are left, and the status that says goodbye. One try each; who left records
   * behind says none, so that control takes the proxy for lost, and not the traces for complete.
   */
  async leave(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#status.stop(), this.#hops.stop()]);
    const why = await this.#postHops(true);
    if (this.#soon !== null) clearTimeout(this.#soon);
    if (why === null) await this.#postStatus(true);
  }

  async #postStatus(leaving: boolean): Promise<string | null> {
    const { api, instance, status, lastSeen } = this.#options;
    const seen = selectSeen(lastSeen(), this.#seenTold, LAST_SEEN_PER_STATUS);
    const body: ProxyStatus = { ...status(), lastSeen: seen.byKey, leaving };
    const path = `/v1/proxies/${encodeURIComponent(instance)}/status`;
    const answer = await api.post(path, "application/json", JSON.stringify(body));
    if (!answer.ok) return `status: ${answer.error.why}`;
    this.#seenTold = seen.told;
    return null;
  }

  /**
   * Posts batches until every flush that waits is answered, and what is left is few; the last time, until
   * the sources are empty. Under load a few records come during each POST: sent at once, they cost a POST.
   */
  async #postHops(isLast: boolean): Promise<string | null> {
    const { hops } = this.#options;
    for (;;) {
      const why = await this.#postObservations();
      if (why !== null) return why;
      const taken = hops.take(BATCH_BYTES_MAX);
      const flush = hops.hasMore ? null : (this.#flushes[0] ?? null);
      if (taken === null && flush === null) return null;
      const fault = await this.#postBatch(taken, flush);
      if (fault !== null) return fault;
      const wasSmall = taken === null || taken.lines.length < BATCH_BYTES_LARGE;
      if (wasSmall && this.#flushes.length === 0 && !isLast) {
        this.#soon ??= setTimeout(() => this.#lookForHops(), HOPS_SOON_MS).unref();
        return null;
      }
    }
  }

  #lookForHops(): void {
    this.#soon = null;
    this.#hops.request();
  }

  /** In batches of their own, before the one that may answer a flush. */
  async #postObservations(): Promise<string | null> {
    const { api, observations } = this.#options;
    let taken = observations.take(OBSERVATIONS_BYTES_MAX);
    for (; taken !== null; taken = observations.take(OBSERVATIONS_BYTES_MAX)) {
      const answer = await api.post("/v1/hops", NDJSON, this.#headLine(null, {}) + taken.lines);
      if (answer.ok) observations.remove(taken.count, true);
      else if (isFinal(answer.error.status)) observations.remove(taken.count, false);
      if (!answer.ok) return `observations: ${answer.error.why}`;
    }
    return null;
  }

  /** A batch tells also of what was left out of the observations, once something was. */
  #headLine(flush: string | null, dropped: Readonly<Record<string, number>>): string {
    const { instance: proxy, observations } = this.#options;
    const left = observations.dropped > 0 ? { observationsDropped: observations.dropped } : {};
    const head: HopBatch = { batch: { proxy, flush, dropped, ...left } };
    return `${JSON.stringify(head)}\n`;
  }

  async #postBatch(taken: TakenHops | null, flush: string | null): Promise<string | null> {
    const { api, hops } = this.#options;
    const body = this.#headLine(flush, taken?.dropped ?? {}) + (taken?.lines ?? "");
    const answer = await api.post("/v1/hops", NDJSON, body);
    if (answer.ok) {
      if (taken !== null) hops.confirm(taken);
      if (flush !== null) this.#flushAnswered(flush);
      return null;
    }
    if (taken !== null && isFinal(answer.error.status)) hops.discard(taken);
    else if (taken !== null) hops.giveBack(taken);
    if (flush !== null && this.#hops.failures + 1 >= FLUSH_TRIES) this.#flushAnswered(flush);
    return `hop records: ${answer.error.why}`;
  }

  #flushAnswered(id: string): void {
    const index = this.#flushes.indexOf(id);
    if (index >= 0) this.#flushes.splice(index, 1);
  }
}

/** Control understood the batch and will never take it; 401, 403, 404, 408 and 429 may pass. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 404, 408, 429].includes(status);
}

/**
 * The keys whose time is another than was told, those seen first if there are more than `countMax`,
 * and what is told with them. Each is held against its own time: several workers tell theirs late.
 */
export function selectSeen(
  byKey: Readonly<Record<string, number>>,
  told: ReadonlyMap<string, number>,
  countMax = Number.POSITIVE_INFINITY,
): { readonly byKey: Record<string, number>; readonly told: ReadonlyMap<string, number> } {
  const all = Object.entries(byKey);
  const seen = all
    .filter(([key, ms]) => told.get(key) !== ms)
    .toSorted(([, a], [, b]) => a - b)
    .slice(0, countMax);
  // Of keys that are forgotten nothing is kept.
  const known = all.flatMap(([key]): [string, number][] => {
    const ms = told.get(key);
    return ms === undefined ? [] : [[key, ms]];
  });
  return { byKey: Object.fromEntries(seen), told: new Map([...known, ...seen]) };
}

/** Sends one thing at a time: at once, once more if it changed meanwhile, later if it failed. */
class Sending {
  readonly #send: () => Promise<string | null>;
  readonly #onFault: (why: string) => void;
  #running: Promise<void> | null = null;
  #isWanted = false;
  #retry: NodeJS.Timeout | null = null;
  #isStopped = false;
  /** Sends that failed since the last one that did not. */
  failures = 0;

  constructor(send: () => Promise<string | null>, onFault: (why: string) => void) {
    this.#send = send;
    this.#onFault = onFault;
  }

  request(): void {
    this.#isWanted = true;
    if (this.#retry === null) this.#start();
  }

  /** As request, without waiting for the pause after a failure. */
  retryNow(): void {
    this.#clearRetry();
    this.request();
  }

  /** Sends no more; resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#clearRetry();
    await this.#running;
  }

  #start(): void {
    if (this.#running !== null || this.#isStopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#isWanted && this.#retry === null) this.#start();
    });
  }

  async #run(): Promise<void> {
    this.#isWanted = false;
    const why = await this.#send();
    if (why === null) {
      this.failures = 0;
      return;
    }
    if (this.failures === 0) this.#onFault(why);
    this.failures++;
    if (this.#isStopped) return;
    const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.failures - 1, 5));
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#isWanted = true;
      this.#start();
    }, pauseMs);
    this.#retry.unref();
  }

  #clearRetry(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
  }
}
