import { type HopRecord, OTHER_KEYS } from "../../core/hop-record.ts";
import { addDropped, newDropCounts } from "../telemetry/hop-records.ts";
import { OBSERVATIONS_MAX } from "../telemetry/observations.ts";
import { type OldestLines, oldestLines } from "../telemetry/oldest-lines.ts";
import type { HopSource, ObservationSource, TakenHops } from "../watch/report.ts";
import type { ToWorker } from "./messages.ts";

/** A worker, as far as evidence is concerned. */
export interface EvidenceGiver {
  send(message: ToWorker): void;
}

/** Bytes of batches that workers left when they stopped: what one of them may hold of hop records. */
const LEFT_BYTES_MAX = 10 * 1024 * 1024;

/** Flushes that one worker may have open; control asks for one at a time. */
const FLUSHES_MAX = 100;

/**
 * What workers hand over for control: hop records and observations, and the flushes that ask for them.
 *
 * Before: worker-source.ts, in the workers. After: watch/report.ts.
 * Invariants: it holds one batch of each worker, what workers left when they stopped within bounds, and
 * no more observations than one process would; a flush is over when every worker that was there has handed
 * over all that it had; what is refused or has no room counts as dropped, and so does what a worker took
 * with it when it crashed: under no key, since nobody knows what it was.
 */
export class EvidenceRelay {
  readonly hops: HopRelay;
  readonly observations: ObservationRelay;
  readonly #flushes = new Map<string, { waiting: Set<EvidenceGiver>; over: () => void }>();
  readonly #workers = new Set<EvidenceGiver>();

  /** `nowMs` is a clock that never goes back. */
  constructor(nowMs: () => number, leftBytesMax = LEFT_BYTES_MAX) {
    this.hops = new HopRelay(leftBytesMax);
    this.observations = new ObservationRelay(nowMs, (forMs) => {
      for (const worker of this.#workers) worker.send({ kind: "observe", forMs });
    });
  }

  /** Whether a flush waits for workers. */
  get isFlushing(): boolean {
    return this.#flushes.size > 0;
  }

  /** From now on its evidence counts. */
  add(worker: EvidenceGiver): void {
    this.#workers.add(worker);
    const forMs = this.observations.leftMs();
    if (forMs > 0) worker.send({ kind: "observe", forMs });
  }

  /** It is gone: in good order, or with what it held. */
  remove(worker: EvidenceGiver, wasOrderly: boolean): void {
    if (!this.#workers.delete(worker)) return;
    if (!wasOrderly) this.hops.lost();
    this.hops.gone(worker);
    this.observations.gone(worker);
    for (const id of [...this.#flushes.keys()]) this.flushed(worker, id);
  }

  /** Resolves once every worker has handed over what it holds; never, where one does not answer. */
  flush(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#flushes.size >= FLUSHES_MAX) {
      const [oldest] = this.#flushes.keys();
      if (oldest !== undefined) this.#flushes.delete(oldest);
    }
    this.#flushes.set(id, { waiting: new Set(this.#workers), over: resolve });
    for (const worker of this.#workers) worker.send({ kind: "flush", id });
    this.#endIfOver(id);
    return promise;
  }

  /** The worker holds nothing of before the flush any more. */
  flushed(worker: EvidenceGiver, id: string): void {
    this.#flushes.get(id)?.waiting.delete(worker);
    this.#endIfOver(id);
  }

  #endIfOver(id: string): void {
    const flush = this.#flushes.get(id);
    if (flush === undefined || flush.waiting.size > 0) return;
    this.#flushes.delete(id);
    flush.over();
  }
}

/** Hop records as a worker handed them over; `worker` is null where none waits to hear of them. */
interface Batch {
  worker: EvidenceGiver | null;
  readonly lines: string;
  readonly count: number;
}

/** Batches of hop records, oldest first: one of each worker, and what workers left when they stopped. */
class HopRelay implements HopSource {
  readonly #leftBytesMax: number;
  readonly #batches: Batch[] = [];
  /** What is on its way, of the first batch if there was one. */
  #out: { readonly taken: TakenHops; readonly batch: Batch | undefined } | null = null;
  /** Not told yet: what workers dropped, and what was refused or had no room here. */
  #dropped = newDropCounts();
  /** Dropped here since the start. */
  droppedTotal = 0;

  constructor(leftBytesMax: number) {
    this.#leftBytesMax = leftBytesMax;
  }

  get held(): number {
    return this.#batches.reduce((sum, { count }) => sum + count, 0);
  }

  get hasMore(): boolean {
    return this.#batches.length > (this.#out?.batch === undefined ? 0 : 1);
  }

  hand(worker: EvidenceGiver, { lines, count, dropped }: TakenHops): void {
    const isRest = this.#batches.some((batch) => batch.worker === worker);
    this.#batches.push({ worker: isRest ? null : worker, lines, count });
    this.#addDropped(dropped);
    if (isRest) this.#makeRoom();
  }

  /** What a worker holds is gone, and nobody knows what it was. */
  lost(): void {
    this.#addDropped({ [OTHER_KEYS]: 1 });
  }

  /** What it handed over stays, within bounds. */
  gone(worker: EvidenceGiver): void {
    for (const batch of this.#batches) if (batch.worker === worker) batch.worker = null;
    this.#makeRoom();
  }

  take(): TakenHops | null {
    const [batch] = this.#batches;
    if (this.#out !== null || (batch === undefined && this.#dropped.size === 0)) return null;
    const dropped = Object.fromEntries(this.#dropped.entries());
    this.#dropped = newDropCounts();
    const taken = { lines: batch?.lines ?? "", count: batch?.count ?? 0, dropped };
    this.#out = { taken, batch };
    return taken;
  }

  confirm(taken: TakenHops): void {
    this.#settle(taken);
  }

  giveBack(taken: TakenHops): void {
    if (this.#out?.taken !== taken) return;
    this.#out = null;
    this.#addDropped(taken.dropped);
  }

  /** What is refused is counted here: its worker may be gone by now. */
  discard(taken: TakenHops): void {
    if (!this.#settle(taken)) return;
    this.#addDropped(taken.dropped);
    this.#drop(taken.lines);
  }

  #settle(taken: TakenHops): boolean {
    const out = this.#out;
    if (out?.taken !== taken) return false;
    this.#out = null;
    if (out.batch !== undefined) this.#batches.shift()?.worker?.send({ kind: "settled" });
    return true;
  }

  /** The oldest of what workers left goes first, and who has no records, but not what is on its way. */
  #makeRoom(): void {
    const left = this.#batches.filter((batch) => batch.worker === null);
    let bytes = left.reduce((sum, { lines }) => sum + lines.length, 0);
    for (const batch of left) {
      const hasRoom = bytes <= this.#leftBytesMax && batch.count > 0;
      if (hasRoom || batch === this.#out?.batch) continue;
      bytes -= batch.lines.length;
      this.#batches.splice(this.#batches.indexOf(batch), 1);
      this.#drop(batch.lines);
    }
  }

  #drop(lines: string): void {
    for (const line of lines.split("\n")) {
      if (line === "") continue;
      this.droppedTotal++;
      this.#addDropped({ [(JSON.parse(line) as HopRecord).key]: 1 });
    }
  }

  #addDropped(dropped: Readonly<Record<string, number>>): void {
    for (const [key, count] of Object.entries(dropped)) addDropped(this.#dropped, key, count);
  }
}

/** Observations of all workers; how many they left out is summed. */
class ObservationRelay implements ObservationSource {
  readonly #nowMs: () => number;
  readonly #tell: (forMs: number) => void;
  readonly #lines: string[] = [];
  readonly #droppedBy = new Map<EvidenceGiver, number>();
  #droppedHere = 0;
  #untilMs = 0;

  constructor(nowMs: () => number, tell: (forMs: number) => void) {
    this.#nowMs = nowMs;
    this.#tell = tell;
  }

  get dropped(): number {
    return [...this.#droppedBy.values()].reduce((sum, count) => sum + count, this.#droppedHere);
  }

  /** How long the window goes on. */
  leftMs(): number {
    return Math.max(0, this.#untilMs - this.#nowMs());
  }

  observeFor(ms: number): void {
    if (this.leftMs() === 0 && ms > 0) {
      this.#droppedBy.clear();
      this.#droppedHere = 0;
    }
    this.#untilMs = this.#nowMs() + ms;
    this.#tell(ms);
  }

  hand(worker: EvidenceGiver, lines: string, dropped: number): void {
    this.#droppedBy.set(worker, dropped);
    for (const line of lines.split("\n")) {
      if (line === "") continue;
      if (this.#lines.length < OBSERVATIONS_MAX) this.#lines.push(`${line}\n`);
      else this.#droppedHere++;
    }
  }

  gone(worker: EvidenceGiver): void {
    this.#droppedHere += this.#droppedBy.get(worker) ?? 0;
    this.#droppedBy.delete(worker);
  }

  take(bytesMax: number): OldestLines | null {
    return oldestLines(this.#lines, bytesMax);
  }

  remove(count: number, wasTaken: boolean): void {
    this.#lines.splice(0, count);
    if (!wasTaken) this.#droppedHere += count;
  }
}
