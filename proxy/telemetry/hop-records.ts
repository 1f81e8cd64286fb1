import { LRUCache } from "lru-cache";
import { type HopRecord, OTHER_KEYS } from "../../core/hop-record.ts";
import { NO_HOP } from "../exchange/placed-hop.ts";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import { detached } from "../routing/recent-map.ts";
import { TAG_TEXT_CHARS_MAX } from "../routing/tag.ts";
import { readTraceId } from "../routing/trace-id.ts";
import type { Observations } from "./observations.ts";

/**
 * Holds hop records of tagged exchanges until control has them.
 *
 * Before: exchange/record.ts. After: watch/report.ts, which sends them off the request path.
 * Invariants: never more than the budget is held; what is dropped is counted under its key, so that
 * control never calls a trace complete that is not; a record leaves only when control has answered.
 * Hot path: one object for a tagged exchange, nothing for an untagged one; text is made on `take`.
 */

/** Records held in all: about 10 MB, some seconds of tagged traffic while control is away. */
export const HOP_RECORDS_MAX = 20_000;

/** Records held of one key, so that one load test does not silence the other sandboxes. */
export const HOP_RECORDS_PER_KEY_MAX = 2_000;

/** Share of both budgets that only strict tags may use: probes and verification send them. */
const RESERVED_SHARE = 0.1;

/** Keys whose drops are told apart; drops of further ones are counted under OTHER_KEYS. */
export const DROPPED_KEYS_MAX = 1_000;

/** Who the records are from. */
export interface HopRecordsOptions {
  /** What the proxy stands next to: the caller of its outbound exchanges. */
  readonly workload: string;
  /** Instance of this proxy. */
  readonly proxy: string;
  readonly sandbox: string | null;
  /** Told of every exchange while control observes; absent: nobody is. */
  readonly observations?: Observations;
  readonly recordsMax?: number;
  readonly recordsPerKeyMax?: number;
}

/** Records on their way to control: settle them with `confirm`, `giveBack` or `discard`. */
export interface TakenHops {
  /** One JSON line for each record, each ended by a line feed. */
  readonly lines: string;
  readonly count: number;
  /** Records dropped since the last batch that arrived, by key. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** See above. One batch is out at a time. */
export class HopRecords implements ExchangeSink {
  readonly #options: HopRecordsOptions;
  readonly #observations: Observations | null;
  readonly #recordsMax: number;
  readonly #perKeyMax: number;
  /** Oldest first; the first `#out.count` are on their way. */
  readonly #records: HopRecord[] = [];
  readonly #heldByKey = new Map<string, number>();
  #dropped = newDropCounts();
  #out: TakenHops | null = null;
  #droppedTotal = 0;

  constructor(options: HopRecordsOptions) {
    this.#options = options;
    this.#observations = options.observations ?? null;
    this.#recordsMax = options.recordsMax ?? HOP_RECORDS_MAX;
    this.#perKeyMax = options.recordsPerKeyMax ?? HOP_RECORDS_PER_KEY_MAX;
  }

  /** How many records wait, those on their way included. */
  get held(): number {
    return this.#records.length;
  }

  /** Whether records wait behind those on their way. */
  get hasMore(): boolean {
    return this.#records.length > (this.#out?.count ?? 0);
  }

  /** How many records were dropped since the start. */
  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  finished(exchange: FinishedExchange): void {
    if (this.#observations?.isOpen === true) this.#observations.observe(exchange);
    if (exchange.place === NO_HOP) return;
    const tag = exchange.tagText.slice(0, TAG_TEXT_CHARS_MAX);
    const key = exchange.decision.key ?? firstKey(tag);
    if (!this.#hasRoom(key, tag.endsWith("!"))) {
      this.#drop(key, 1);
      return;
    }
    this.#heldByKey.set(key, (this.#heldByKey.get(key) ?? 0) + 1);
    this.#records.push(this.#build(exchange, tag, key));
  }

  #hasRoom(key: string, isStrict: boolean): boolean {
    const share = isStrict ? 1 : 1 - RESERVED_SHARE;
    if (this.#records.length >= Math.floor(this.#recordsMax * share)) return false;
    return (this.#heldByKey.get(key) ?? 0) < Math.floor(this.#perKeyMax * share);
  }

  #drop(key: string, count: number): void {
    this.#droppedTotal += count;
    addDropped(this.#dropped, key, count);
  }

  #build(exchange: FinishedExchange, tag: string, key: string): HopRecord {
    const { decision } = exchange;
    return {
      v: 1,
      root: exchange.root,
      hop: exchange.hop,
      // A copy: a slice would keep the whole baggage header alive for as long as the record waits.
      parent: exchange.parent === null ? null : detached(exchange.parent),
      timeMs: exchange.startEpochMs,
      caller: this.#callerOf(exchange),
      workload: exchange.workload,
      proxy: this.#options.proxy,
      mode: exchange.mode,
      sandbox: this.#options.sandbox,
      healed: exchange.healed,
      tag,
      key,
      outcome: decision.outcome,
      reason: decision.reason,
      revision: exchange.revision,
      endpoint: exchange.endpoint,
      traceId: readDetachedTraceId(exchange),
      protocol: exchange.protocol,
      status: exchange.status,
      requestBytes: exchange.requestBytes,
      responseBytes: exchange.responseBytes,
      ttfbMs:
        exchange.firstByteAtMs === 0
          ? null
          : toMicros(exchange.firstByteAtMs - exchange.startedAtMs),
      totalMs: toMicros(exchange.endedAtMs - exchange.startedAtMs),
      attempt: exchange.attempt,
      closedBy: exchange.closedBy,
      fault: exchange.fault,
    };
  }

  #callerOf({ mode, downstreamAddress }: FinishedExchange): string | null {
    if (mode === "outbound") return this.#options.workload;
    return downstreamAddress === "" ? null : downstreamAddress;
  }

  /**
   * Takes the oldest records, at most `bytesMax` bytes of lines but at least one record, and the
   * counts of those dropped; null if there is nothing to tell or a batch is still out.
   */
  take(bytesMax: number): TakenHops | null {
    if (this.#out !== null || (this.#records.length === 0 && this.#dropped.size === 0)) return null;
    const lines: string[] = [];
    let bytes = 0;
    for (const record of this.#records) {
      const line = `${JSON.stringify(record)}\n`;
      bytes += Buffer.byteLength(line);
      if (bytes > bytesMax && lines.length > 0) break;
      lines.push(line);
    }
    const dropped = Object.fromEntries(this.#dropped.entries());
    this.#dropped = newDropCounts();
    this.#out = { lines: lines.join(""), count: lines.length, dropped };
    return this.#out;
  }

  /** Control has them: they are gone from here. */
  confirm(taken: TakenHops): void {
    if (!this.#settle(taken)) return;
    this.#remove(taken.count);
  }

  /** They did not arrive: the next `take` has them again, and the counts. */
  giveBack(taken: TakenHops): void {
    if (!this.#settle(taken)) return;
    for (const [key, count] of Object.entries(taken.dropped)) addDropped(this.#dropped, key, count);
  }

  /** Control will never take them: they count as dropped. */
  discard(taken: TakenHops): void {
    if (!this.#settle(taken)) return;
    for (const [key, count] of Object.entries(taken.dropped)) addDropped(this.#dropped, key, count);
    for (const record of this.#records.slice(0, taken.count)) this.#drop(record.key, 1);
    this.#remove(taken.count);
  }

  /** Settles a batch once; a second time, or of another batch, it changes nothing. */
  #settle(taken: TakenHops): boolean {
    if (this.#out !== taken) return false;
    this.#out = null;
    return true;
  }

  #remove(count: number): void {
    for (const { key } of this.#records.splice(0, count)) {
      const left = (this.#heldByKey.get(key) ?? 1) - 1;
      if (left === 0) this.#heldByKey.delete(key);
      else this.#heldByKey.set(key, left);
    }
  }
}

/** Counts by key, for a bounded number of keys; the keys come from outside. */
export function newDropCounts(): LRUCache<string, number> {
  return new LRUCache<string, number>({ max: DROPPED_KEYS_MAX });
}

/** Counts further drops of a key, under OTHER_KEYS where too many are told apart already. */
export function addDropped(counts: LRUCache<string, number>, key: string, count: number): void {
  const told = counts.has(key) || counts.size < DROPPED_KEYS_MAX - 1 ? key : OTHER_KEYS;
  counts.set(told, (counts.get(told) ?? 0) + count);
}

/** `jane-42~b!` is counted under `jane-42`; an unreadable tag under the empty key. */
function firstKey(tag: string): string {
  return /^[a-z0-9][a-z0-9-]{0,39}/.exec(tag)?.[0] ?? "";
}

function readDetachedTraceId(exchange: FinishedExchange): string | null {
  const traceId = readTraceId(exchange.fields);
  return traceId === null ? null : detached(traceId);
}

/** Milliseconds with three decimals: what is below is noise, and lines are shorter. */
function toMicros(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
