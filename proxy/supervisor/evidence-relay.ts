import { OTHER_KEYS } from "../../core/hop-record.ts";
import { OBSERVATIONS_MAX } from "../telemetry/observations.ts";
import { type OldestLines, oldestLines } from "../telemetry/oldest-lines.ts";
import type { HopSource, ObservationSource, TakenHops } from "../watch/report.ts";
import type { HandedHops, ToWorker } from "./messages.ts";

/** A worker, as far as evidence is concerned. */
export interface EvidenceGiver {
  send(message: ToWorker): void;
}

/** Flushes that one worker may have open; control asks for one at a time. */
const FLUSHES_MAX = 100;

/**
 * What workers hand over for control: hop records and observations, and the flushes that ask for them.
 *
 * Before: worker-source.ts, in the workers. After: watch/report.ts.
 * Invariants: it holds one batch of each worker, and no more observations than one process would; a
 * flush is over when every worker that was there has handed over all that it had; what a worker took
 * with it when it crashed counts as dropped, under no key, since nobody knows what it was.
 */
export class EvidenceRelay {
  readonly hops: HopRelay;
  readonly observations: ObservationRelay;
  readonly #flushes = new Map<string, { waiting: Set<EvidenceGiver>; over: () => void }>();
  readonly #workers = new Set<EvidenceGiver>();

  /** `nowMs` is a clock that never goes back. */
  constructor(nowMs: () => number) {
    this.hops = new HopRelay();
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

/** Batches of hop records, oldest first; each worker has at most one here. */
class HopRelay implements HopSource {
  readonly #batches: { readonly worker: EvidenceGiver; readonly handed: HandedHops }[] = [];
  #out: TakenHops | null = null;
  /** Workers that took with them what they held, not told yet, and in the batch that is out. */
  #lost = 0;
  #lostOut = 0;
  /** Whether what is out is the first batch, and not only a count of what was lost. */
  #isFirstOut = false;

  get held(): number {
    return this.#batches.reduce((sum, { handed }) => sum + handed.count, 0);
  }

  hand(worker: EvidenceGiver, handed: HandedHops): void {
    this.#batches.push({ worker, handed });
  }

  lost(): void {
    this.#lost++;
  }

  take(): TakenHops | null {
    const first = this.#batches[0]?.handed;
    if (this.#out !== null || (first === undefined && this.#lost === 0)) return null;
    const dropped = { ...first?.dropped };
    if (this.#lost > 0) dropped[OTHER_KEYS] = (dropped[OTHER_KEYS] ?? 0) + this.#lost;
    this.#lostOut = this.#lost;
    this.#lost = 0;
    this.#out = { lines: first?.lines ?? "", count: first?.count ?? 0, dropped };
    this.#isFirstOut = first !== undefined;
    return this.#out;
  }

  confirm(taken: TakenHops): void {
    this.#settle(taken, true);
  }

  discard(taken: TakenHops): void {
    this.#settle(taken, false);
  }

  giveBack(taken: TakenHops): void {
    if (this.#out !== taken) return;
    this.#out = null;
    this.#lost += this.#lostOut;
  }

  #settle(taken: TakenHops, wasTaken: boolean): void {
    if (this.#out !== taken) return;
    this.#out = null;
    if (!wasTaken) this.#lost += this.#lostOut;
    if (this.#isFirstOut) this.#batches.shift()?.worker.send({ kind: "settled", wasTaken });
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
