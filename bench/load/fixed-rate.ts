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

  /**
   * Leaves out the requests that fell due between two moments, and answers how many; none if one of
   * before waits, since that one still has to leave first.
   */
  leaveOut(fromMs: number, toMs: number): number {
    if (this.nextDueMs < fromMs) return 0;
    const dueBy = Math.floor((toMs - this.#startMs) / this.#intervalMs) + 1;
    const leftOut = Math.max(0, dueBy - this.#taken);
    this.#taken += leftOut;
    return leftOut;
  }

  /** Takes one request if it is due; answers when it was, or null. */
  take(nowMs: number): number | null {
    const dueMs = this.nextDueMs;
    if (dueMs > nowMs) return null;
    this.#taken++;
    return dueMs;
  }
}
