/**
 * The due times of a fixed rate: request n is due n intervals after the start, whatever happens.
 *
 * Times are in milliseconds of one clock.
 */
export class FixedRate {
  readonly #startMs: number;
  readonly #intervalMs: number;
  #taken = 0;

  constructor(startMs: number, ratePerSecond: number) {
    this.#startMs = startMs;
    this.#intervalMs = 1_000 / ratePerSecond;
  }

  /** When the next request is due. */
  get nextDueMs(): number {
    return this.#startMs + this.#taken * this.#intervalMs;
  }

  /** Takes one request if it is due; answers when it was, or null. */
  take(nowMs: number): number | null {
    const dueMs = this.nextDueMs;
    if (dueMs > nowMs) return null;
    this.#taken++;
    return dueMs;
  }
}
