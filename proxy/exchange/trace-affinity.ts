import { LRUCache } from "lru-cache";
import type { FieldList } from "../message/field-list.ts";
import { detached } from "../routing/detached.ts";
import type { HopMark } from "../routing/hop-mark.ts";
import type { Tag } from "../routing/tag.ts";
import { readTraceId } from "../routing/trace-id.ts";
import { RecentMap } from "./recent-map.ts";

/**
 * Remembers which tag a trace id came in with, for calls of the same trace that go out without one.
 *
 * Before: exchange/exchange.ts, of both directions. After: exchange/outbound-call.ts.
 * Invariants: bounded in number and in time; an id that came with two tags, with one that is not
 * clear, or both with one and without, has none until it is forgotten; what untrusted callers say is
 * not learned. Who came without is remembered from the first tagged trace on until the last of them is
 * forgotten: while there is none, an untagged request costs a look at a number, and what it came with
 * is not known to those that come after.
 * Once per exchange in, and per untagged call out, of proxies that serve both.
 */
export class TraceAffinity {
  readonly #recent: LRUCache<string, Remembered>;
  /** Ids that came without a tag, apart: they are many, and shall not push out the others. */
  #untagged: RecentMap<true>;
  readonly #tracesMax: number;
  readonly #ttlMs: number;
  readonly #nowMs: () => number;
  /** When the last of `recent` is forgotten. */
  #endAtMs = 0;

  /** `nowMs` is for tests: milliseconds on a monotonic clock. */
  constructor(tracesMax: number, ttlMs: number, nowMs?: () => number) {
    this.#recent = new LRUCache({
      max: tracesMax,
      ttl: ttlMs,
      ...(nowMs && { perf: { now: nowMs }, ttlResolution: 0 }),
    });
    this.#untagged = new RecentMap(tracesMax);
    this.#tracesMax = tracesMax;
    this.#ttlMs = ttlMs;
    this.#nowMs = nowMs ?? (() => performance.now());
  }

  /** Learns from a request that came in with a tag. */
  learn(fields: FieldList, tag: Tag, hop: HopMark): void {
    const traceId = readTraceId(fields);
    if (traceId === null) return;
    const known = this.#recent.get(traceId);
    if (tag.kind !== "keys" || tag.ambiguous || this.#untagged.get(traceId) === true) {
      this.#remember(traceId, NOBODYS);
    } else {
      this.#remember(traceId, known === undefined ? fresh(tag, hop) : met(known, tag, hop));
    }
  }

  /**
   * A request came in without a tag: if its trace comes with one as well, before or after, nobody knows
   * which of its calls belong to which, and those of an untagged request must not reach a fork.
   */
  meetUntagged(fields: FieldList): void {
    if (this.#recent.size === 0) return;
    if (this.#nowMs() > this.#endAtMs) {
      this.#recent.clear();
      this.#untagged = new RecentMap(this.#tracesMax);
      return;
    }
    const traceId = readTraceId(fields);
    if (traceId === null) return;
    if (this.#recent.has(traceId)) this.#remember(traceId, NOBODYS);
    else this.#untagged.set(traceId, true);
  }

  #remember(traceId: string, what: Remembered): void {
    this.#recent.set(detached(traceId), what);
    this.#endAtMs = this.#nowMs() + this.#ttlMs;
  }

  /** What the trace came in with; null if it did not, or nobody knows for whom. */
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
  /** Null: nobody knows whose its calls are. */
  readonly tag: Tag | null;
  readonly mark: HopMark | null;
}

const NOBODYS: Remembered = { tag: null, mark: null };

function fresh(tag: Tag, hop: HopMark): Remembered {
  return { tag, mark: { root: detached(hop.root), hop: detached(hop.hop) } };
}

function met(known: Remembered, tag: Tag, hop: HopMark): Remembered {
  if (known.tag?.text !== tag.text) return NOBODYS;
  return known.mark?.hop === hop.hop ? known : { tag: known.tag, mark: null };
}
