import { LRUCache } from "lru-cache";
import type { FieldList } from "../message/field-list.ts";
import type { HopMark } from "../routing/hop-mark.ts";
import { detached } from "../routing/recent-map.ts";
import type { Tag } from "../routing/tag.ts";
import { readTraceId } from "../routing/trace-id.ts";
import type { Hop } from "./hop.ts";

/**
 * Remembers which tag a trace id came in with, for calls of the same trace that go out without one.
 *
 * Before: exchange/exchange.ts, of both directions. After: exchange/outbound-call.ts.
 * Invariants: bounded in number and in time; an id that came with two tags, or with one and later
 * without, has none until it is forgotten; what untrusted callers say is not learned.
 * Once per exchange in, and per untagged call out, of proxies that serve both; untagged ones that come
 * in cost a look at a number while no trace is remembered.
 */
export class TraceAffinity {
  readonly #recent: LRUCache<string, Remembered>;

  /** `nowMs` is for tests: milliseconds on a monotonic clock. */
  constructor(tracesMax: number, ttlMs: number, nowMs?: () => number) {
    this.#recent = new LRUCache({
      max: tracesMax,
      ttl: ttlMs,
      ...(nowMs && { perf: { now: nowMs }, ttlResolution: 0 }),
    });
  }

  /** Learns from a request that came in with a tag. */
  learn(fields: FieldList, tag: Tag, hop: Hop): void {
    if (tag.kind !== "keys" || tag.ambiguous) return;
    const traceId = readTraceId(fields);
    if (traceId === null) return;
    const known = this.#recent.get(traceId);
    this.#recent.set(
      detached(traceId),
      known === undefined ? fresh(tag, hop) : met(known, tag, hop),
    );
  }

  /**
   * A request came in without a tag: if its trace is known, nobody knows any more which of its calls
   * belong to which, and those of an untagged request must not reach a fork.
   */
  meetUntagged(fields: FieldList): void {
    if (this.#recent.size === 0) return;
    const traceId = readTraceId(fields);
    if (traceId === null || !this.#recent.has(traceId)) return;
    this.#recent.set(detached(traceId), { tag: null, mark: null });
  }

  /** What the trace came in with; null if it did not, or with two tags. */
  recall(fields: FieldList): Recalled | null {
    const traceId = readTraceId(fields);
    if (traceId === null) return null;
    const known = this.#recent.get(traceId);
    return known === undefined || known.tag === null ? null : { tag: known.tag, mark: known.mark };
  }
}

/** What a call without a tag is given back. */
export interface Recalled {
  readonly tag: Tag;
  /** The hop that caused the call; null where several did and nobody knows which. */
  readonly mark: HopMark | null;
}

interface Remembered {
  /** Null: two tags that differ came with it. */
  readonly tag: Tag | null;
  readonly mark: HopMark | null;
}

function fresh(tag: Tag, hop: Hop): Remembered {
  return { tag, mark: { root: detached(hop.root), hop: detached(hop.hop) } };
}

function met(known: Remembered, tag: Tag, hop: Hop): Remembered {
  if (known.tag?.text !== tag.text) return { tag: null, mark: null };
  return known.mark?.hop === hop.hop ? known : { tag: known.tag, mark: null };
}
