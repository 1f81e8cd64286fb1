/**
 * Answers whether resources are ready, and lets requests wait for it.
 *
 * Before: watch/proxies.ts (a status came), watch/live-tables.ts (a commit was applied).
 * After: routes/. However many statuses arrive in one turn of the event loop, waiting requests are
 * looked at once.
 */
import type { ControlLimits } from "../model/limits.ts";
import { type Readiness, readinessOf } from "../model/ready.ts";
import type { Kind } from "../model/resource.ts";
import type { LiveTables } from "./live-tables.ts";
import type { Proxies } from "./proxies.ts";

/** A resource's readiness and the revision that it takes. */
export interface ReadyState extends Readiness {
  readonly revision: string;
}

interface Waiter {
  readonly kind: Kind;
  readonly name: string;
  readonly done: () => void;
}

/** How often a waiting request is looked at when nothing happens, in milliseconds: time alone can make it ready. */
const RECHECK_MS = 200;

export class ReadyWatch {
  readonly #live: LiveTables;
  readonly #proxies: Proxies;
  readonly #limits: ControlLimits;
  readonly #waiters = new Set<Waiter>();
  #check: NodeJS.Immediate | null = null;
  #recheck: NodeJS.Timeout | null = null;

  constructor(live: LiveTables, proxies: Proxies, limits: ControlLimits) {
    this.#live = live;
    this.#proxies = proxies;
    this.#limits = limits;
  }

  /** The present state; null if there is no such resource. */
  of(kind: Kind, name: string): ReadyState | null {
    const question = this.#live.readyQuestion(kind, name);
    if (question === null) return null;
    const revision = this.#live.revisionOf(this.#live.neededVersion(question));
    return { ...readinessOf(question, this.#proxies, this.#limits), revision };
  }

  /** Tells whether one more request may wait. */
  hasRoom(): boolean {
    return this.#waiters.size < this.#limits.waitersMax;
  }

  /** Waits until the resource is ready or gone, the time is over, or `signal` aborts. */
  wait(kind: Kind, name: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isOver(kind, name)) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.done(), timeoutMs);
      const waiter: Waiter = {
        kind,
        name,
        done: () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", waiter.done);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      signal.addEventListener("abort", waiter.done);
      this.#waiters.add(waiter);
      this.#armRecheck();
      if (signal.aborted) waiter.done();
    });
  }

  /** Something happened that may have made somebody ready. */
  touch(): void {
    if (this.#waiters.size === 0 || this.#check !== null) return;
    this.#check = setImmediate(() => {
      this.#check = null;
      this.#checkAll();
    });
  }

  /** Lets everybody go who waits. */
  close(): void {
    for (const waiter of this.#waiters) waiter.done();
    if (this.#recheck !== null) clearInterval(this.#recheck);
  }

  #checkAll(): void {
    for (const waiter of this.#waiters) {
      if (this.#isOver(waiter.kind, waiter.name)) waiter.done();
    }
  }

  #isOver(kind: Kind, name: string): boolean {
    return this.of(kind, name)?.ready !== false;
  }

  #armRecheck(): void {
    if (this.#recheck !== null) return;
    this.#recheck = setInterval(() => {
      if (this.#waiters.size > 0) return this.#checkAll();
      if (this.#recheck !== null) clearInterval(this.#recheck);
      this.#recheck = null;
    }, RECHECK_MS);
  }
}
