import { getHeapStatistics } from "node:v8";
import type { Ticking } from "../../core/ticker.ts";
import type { ExchangeContext } from "../exchange/context.ts";
import type { Limits } from "../limits.ts";

/** How often memory is looked at, in milliseconds: asking costs some 50 us. */
const CHECK_MS = 1_000;

/**
 * How often garbage is collected while there is too little, in milliseconds. V8 does so by what is made, and
 * a proxy that refuses everything makes nothing: it would refuse for ever what garbage has no room for.
 */
const COLLECT_MS = 5_000;

/**
 * Looks at the memory in use, and says what has to be given up for those in progress to finish.
 *
 * Before: proxy/sides.ts. After: exchange/exchange.ts, downstream/http1-connection.ts.
 * Invariant: what is in progress goes on; first connections are told to close, then new requests and
 * connections are refused: `overloaded`.
 */
export class MemoryPressure implements Ticking {
  readonly #limits: PressureLimits;
  readonly #contexts: readonly Pick<ExchangeContext, "overload">[];
  readonly #usedPercent: () => number;
  readonly #collect: () => void;
  #dueAtMs = 0;
  #collectAtMs = 0;

  /** Tells all contexts of the process: they share its memory. */
  constructor(
    limits: PressureLimits,
    contexts: readonly Pick<ExchangeContext, "overload">[],
    usedPercent: () => number = memoryUsedPercent,
    collect: () => void = collectGarbage,
  ) {
    this.#limits = limits;
    this.#contexts = contexts;
    this.#usedPercent = usedPercent;
    this.#collect = collect;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueAtMs) return;
    this.#dueAtMs = nowMs + CHECK_MS;
    const level = this.#level(this.#usedPercent());
    for (const context of this.#contexts) context.overload = level;
    if (level === "none" || nowMs < this.#collectAtMs) return;
    this.#collectAtMs = nowMs + COLLECT_MS;
    this.#collect();
  }

  #level(usedPercent: number): ExchangeContext["overload"] {
    const { memoryClosePercent, memoryRefusePercent } = this.#limits;
    if (usedPercent >= memoryRefusePercent) return "refuses";
    return usedPercent >= memoryClosePercent ? "closes" : "none";
  }
}

type PressureLimits = Pick<Limits, "memoryClosePercent" | "memoryRefusePercent">;

/** Only where Node lets us (`--expose-gc`, which own-process/become.ts gives). */
function collectGarbage(): void {
  globalThis.gc?.();
}

/**
 * The larger of two shares, in percent: of the heap that V8 allows itself, and of the memory that the
 * container has. Of the container the process' own part counts: its page cache can be taken back.
 * `processes` share the container: each has an equal part of it.
 */
export function memoryUsedPercent(processes = 1): number {
  const heap = getHeapStatistics();
  const containerBytes = process.constrainedMemory();
  const ofHeap = heap.used_heap_size / heap.heap_size_limit;
  const ofContainer =
    containerBytes > 0 ? (processes * process.memoryUsage.rss()) / containerBytes : 0;
  return 100 * Math.max(ofHeap, ofContainer);
}
