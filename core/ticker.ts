import { type OnBug, throwAgain } from "./invariant.ts";

/** Something with deadlines that looks at them when told the time. */
export interface Ticking {
  /** `nowMs` is on the clock that deadlines are set by. */
  tick(nowMs: number): void;
}

/** How often deadlines are looked at, in milliseconds. A deadline fires at most this much late. */
const TICK_MS = 50;

/**
 * One coarse timer for all deadlines of a process, so that a request costs no timer.
 *
 * Members may remove themselves while they are told.
 */
export class Ticker {
  readonly #members = new Set<Ticking>();
  readonly #now: () => number;
  readonly #onBug: OnBug;
  readonly #timer: NodeJS.Timeout;
  /** The time of the last tick, in milliseconds: for what needs no better. */
  nowMs: number;

  /** `onBug` is told of a member that throws; the others are told the time all the same. */
  constructor(now: () => number, tickMs = TICK_MS, onBug: OnBug = throwAgain) {
    this.#now = now;
    this.#onBug = onBug;
    this.nowMs = now();
    this.#timer = setInterval(() => this.tick(), tickMs);
    this.#timer.unref();
  }

  /** The time now, in milliseconds: for what must not be late by a tick. */
  now(): number {
    return this.#now();
  }

  add(member: Ticking): void {
    this.#members.add(member);
  }

  delete(member: Ticking): void {
    this.#members.delete(member);
  }

  /** How many look at their deadlines. */
  get size(): number {
    return this.#members.size;
  }

  /** Tells all members the time; called by the timer, and by tests. */
  tick(): void {
    this.nowMs = this.#now();
    for (const member of this.#members) {
      try {
        member.tick(this.nowMs);
      } catch (error) {
        this.#onBug(error);
      }
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#members.clear();
  }
}
