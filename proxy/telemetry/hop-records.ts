import { LRUCache } from "lru-cache";
import { OTHER_KEYS } from "../../core/hop-record.ts";
import { NO_HOP } from "../exchange/placed-hop.ts";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import { HeldLines } from "./held-lines.ts";
import { HopRecordLine, keyOf, type Recorder } from "./hop-record-line.ts";
import type { Observations } from "./observations.ts";

/**
 * Holds hop records of tagged exchanges until control has them.
 *
 * Before: exchange/record.ts. After: watch/report.ts, which sends them off the request path.
 * Invariants: never more than the budget is held; what is dropped is counted under its key, so that
 * control never calls a trace complete that is not; a record leaves only when control has answered.
 * Hot path: nothing for an untagged exchange; of a tagged one the line, and no object.
 */

/** Records held in all: about 12 MB, some seconds of tagged traffic while control is away. */
export const HOP_RECORDS_MAX = 20_000;

/** Records held of one key, so that one load test does not silence the other sandboxes. */
export const HOP_RECORDS_PER_KEY_MAX = 2_000;

/** Share of both budgets that only strict tags may use: probes and verification send them. */
const RESERVED_SHARE = 0.1;

/** Keys whose drops are told apart; drops of further ones are counted under OTHER_KEYS. */
export const DROPPED_KEYS_MAX = 1_000;

/** Who the records are from, and what else HopRecords needs to know. */
export interface HopRecordsOptions extends Recorder {
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

/** The records that wait for control. One batch is out at a time. */
export class HopRecords implements ExchangeSink {
  readonly #observations: Observations | null;
  readonly #line: HopRecordLine;
  /** How many records there may be, and of one key; of tags that are strict, and of others. */
  readonly #strictRoom: Room;
  readonly #otherRoom: Room;
  /** Oldest first; the first `#out.count` are on their way. */
  readonly #lines = new HeldLines<KeyCount>();
  readonly #heldByKey = new Map<string, KeyCount>();
  #dropped = newDropCounts();
  #out: TakenHops | null = null;
  #droppedTotal = 0;

  constructor(options: HopRecordsOptions) {
    const { recordsMax = HOP_RECORDS_MAX, recordsPerKeyMax = HOP_RECORDS_PER_KEY_MAX } = options;
    this.#observations = options.observations ?? null;
    this.#line = new HopRecordLine(options);
    this.#strictRoom = { total: recordsMax, perKey: recordsPerKeyMax };
    this.#otherRoom = {
      total: Math.floor(recordsMax * (1 - RESERVED_SHARE)),
      perKey: Math.floor(recordsPerKeyMax * (1 - RESERVED_SHARE)),
    };
  }

  /** How many records wait, those on their way included. */
  get held(): number {
    return this.#lines.count;
  }

  /** Whether records wait behind those on their way. */
  get hasMore(): boolean {
    return this.#lines.count > (this.#out?.count ?? 0);
  }

  /** How many records were dropped since the start. */
  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  finished(exchange: FinishedExchange): void {
    if (this.#observations?.isOpen === true) this.#observations.observe(exchange);
    if (exchange.place === NO_HOP) return;
    const key = keyOf(exchange);
    const held = this.#heldByKey.get(key);
    const room = exchange.tagText.endsWith("!") ? this.#strictRoom : this.#otherRoom;
    if (this.#lines.count >= room.total || (held !== undefined && held.records >= room.perKey)) {
      this.#drop(key, 1);
      return;
    }
    const line = this.#line.of(exchange);
    if (line.isCut) this.#drop(key, 1);
    else this.#lines.add(line, this.#count(key, held));
  }

  #count(key: string, held: KeyCount | undefined): KeyCount {
    if (held !== undefined) {
      held.records++;
      return held;
    }
    const first = { key, records: 1 };
    this.#heldByKey.set(key, first);
    return first;
  }

  #drop(key: string, count: number): void {
    this.#droppedTotal += count;
    addDropped(this.#dropped, key, count);
  }

  /**
   * Takes the oldest records, at most `bytesMax` bytes of lines but at least one record, and the
   * counts of those dropped; null if there is nothing to tell or a batch is still out.
   */
  take(bytesMax: number): TakenHops | null {
    if (this.#out !== null || (this.#lines.count === 0 && this.#dropped.size === 0)) return null;
    const dropped = Object.fromEntries(this.#dropped.entries());
    this.#dropped = newDropCounts();
    this.#out = { ...this.#lines.oldest(bytesMax), dropped };
    return this.#out;
  }

  /** Control has them: they are gone from here. */
  confirm(taken: TakenHops): void {
    if (!this.#settle(taken)) return;
    this.#lines.removeOldest(taken.count, (held) => this.#removed(held));
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
    this.#lines.removeOldest(taken.count, (held) => {
      this.#drop(held.key, 1);
      this.#removed(held);
    });
  }

  /** Settles a batch once; a second time, or of another batch, it changes nothing. */
  #settle(taken: TakenHops): boolean {
    if (this.#out !== taken) return false;
    this.#out = null;
    return true;
  }

  #removed(held: KeyCount): void {
    held.records--;
    if (held.records === 0) this.#heldByKey.delete(held.key);
  }
}

/** How many records there may be. */
interface Room {
  readonly total: number;
  readonly perKey: number;
}

/** How many records of a key are held. */
interface KeyCount {
  readonly key: string;
  records: number;
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
