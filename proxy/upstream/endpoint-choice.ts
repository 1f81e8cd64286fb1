import { LRUCache } from "lru-cache";
import type { ForkRoute } from "../routing/decision.ts";

/** Endpoints remembered as refusing, at most: each is forgotten after a second anyway. */
const SKIPPED_MAX = 1_000;

/**
 * Picks one of a fork's endpoints, in turn, passing over those that refused a moment ago.
 *
 * Before: exchange/exchange.ts. After: upstream/pool.ts.
 * Invariant: the baseline is never skipped; if all endpoints refused, the one that did so first is tried.
 */
export class EndpointChoice {
  readonly #skippedUntilMs: LRUCache<string, number>;
  readonly #skipMs: number;
  #turn = 0;

  constructor(skipMs: number) {
    this.#skipMs = skipMs;
    this.#skippedUntilMs = new LRUCache({ max: SKIPPED_MAX });
  }

  /** The next endpoint that is not in `tried`; null if there is none left. */
  choose(route: ForkRoute, tried: readonly string[], nowMs: number): string | null {
    const endpoints = route.endpoints;
    if (endpoints.length === 1 && tried.length === 0) return endpoints[0] ?? null;
    const turn = this.#turn++;
    let best: string | null = null;
    let bestUntilMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(turn + i) % endpoints.length] as string;
      if (tried.includes(endpoint)) continue;
      const untilMs = this.#skippedUntilMs.get(endpoint) ?? 0;
      if (untilMs <= nowMs) return endpoint;
      if (untilMs < bestUntilMs) {
        best = endpoint;
        bestUntilMs = untilMs;
      }
    }
    return best;
  }

  /** The endpoint refused: others go first for a while. */
  refused(endpoint: string, nowMs: number): void {
    this.#skippedUntilMs.set(endpoint, nowMs + this.#skipMs);
  }
}
