import { LRUCache } from "lru-cache";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import { detached } from "../routing/detached.ts";

/**
 * Remembers when a request with each live key last ended: control ends idle sandboxes by it.
 *
 * Before: exchange/record.ts. After: watch/report.ts.
 * Hot path: one lookup for a tagged exchange, nothing for an untagged one.
 */

/** Keys remembered; the one seen longest ago is forgotten first, after it was reported. */
export const LAST_SEEN_KEYS_MAX = 10_000;

/** The times of live keys. Those that the table does not know are not remembered: they are anybody's text. */
export class LastSeen implements ExchangeSink {
  readonly #seen: LRUCache<string, { epochMs: number }>;

  constructor(keysMax = LAST_SEEN_KEYS_MAX) {
    this.#seen = new LRUCache({ max: keysMax });
  }

  finished(exchange: FinishedExchange): void {
    const { key, reason } = exchange.decision;
    if (key === null || reason === "unknown-key" || reason === "expired") return;
    if (reason === "table-unknown" || reason === "table-stale" || reason === "loop") return;
    // Its end: who holds one request for an hour uses the key for an hour.
    const epochMs = exchange.startEpochMs + Math.round(exchange.endedAtMs - exchange.startedAtMs);
    const before = this.#seen.get(key);
    if (before === undefined) this.#seen.set(detached(key), { epochMs });
    else if (epochMs > before.epochMs) before.epochMs = epochMs;
  }

  /** Key to milliseconds since the Unix epoch. */
  byKey(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#seen, ([key, { epochMs }]) => [key, epochMs]));
  }
}
