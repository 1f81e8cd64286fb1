/**
 * Ends what is over: sandboxes and route groups whose time to live has run out, old tombstones,
 * proxies that are silent for long.
 *
 * Before: server.ts calls it every second. After: store/store.ts, as any other write.
 */
import type { Clock } from "../core/clock.ts";
import { LEASE_MS } from "../core/proxy-status.ts";
import { expiryOf } from "./model/expiry.ts";
import type { ControlLimits } from "./model/limits.ts";
import { etagOf, type Resource } from "./model/resource.ts";
import type { Change, Store } from "./store/store.ts";
import type { Proxies } from "./watch/proxies.ts";

/** How often deadlines are looked at, in milliseconds: how late something may end. */
export const SWEEP_MS = 1_000;

export class Expiry {
  readonly #store: Store;
  readonly #proxies: Proxies;
  readonly #limits: ControlLimits;
  readonly #clock: Clock;
  readonly #startedAtMs: number;

  constructor(store: Store, proxies: Proxies, limits: ControlLimits, clock: Clock) {
    this.#store = store;
    this.#proxies = proxies;
    this.#limits = limits;
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
  }

  /** Looks at everything once; rejects when the store cannot write, and tries again the next time. */
  async sweep(): Promise<void> {
    const contents = await this.#store.read();
    const nowMs = this.#clock.epochMs();
    const changes: Change[] = contents.tombstones
      .filter((tombstone) => tombstone.untilMs <= nowMs)
      .map(({ key }) => ({ op: "forget", key }));
    for (const resource of contents.resources) {
      if (changes.length >= this.#limits.expiriesPerSweepMax) break;
      if (this.#isOver(resource, nowMs)) changes.push(this.#removal(resource, nowMs));
    }
    // A conflict means that somebody wrote it just now; the next sweep looks again.
    if (changes.length > 0) await this.#store.commit(changes);
  }

  #isOver(resource: Resource, nowMs: number): boolean {
    if (!hasTtl(resource)) return false;
    const lastSeenMs = this.#proxies.lastSeenMs(resource.spec.routingKey);
    const expiry = expiryOf(resource, lastSeenMs);
    if (expiry === null || expiry.atMs > nowMs) return false;
    return expiry.reason !== "idle" || this.#hasHeardFromProxies();
  }

  /** After a start, what was seen lately is known only once every proxy has had time to say so. */
  #hasHeardFromProxies(): boolean {
    return this.#clock.nowMs() - this.#startedAtMs > LEASE_MS + this.#limits.leaseGraceMs;
  }

  #removal(resource: Resource, nowMs: number): Change {
    return {
      op: "remove",
      kind: resource.kind,
      name: resource.name,
      expect: etagOf(resource),
      tombstoneUntilMs: nowMs + this.#limits.tombstoneMs,
    };
  }
}

function hasTtl({ spec }: Resource): boolean {
  const { idle, sinceUpdate, max } = spec.ttl;
  return idle !== undefined || sinceUpdate !== undefined || max !== undefined;
}
