/** A process that lived this long did not end of what it met at its start. */
const STEADY_MS = 60_000;

/** Pauses: none after the first end, then they double from the first to the last. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 10_000;

/**
 * How long to wait before a process that ended is started anew: at once the first time, ever longer
 * where the new one ends too, so that a fault that every start meets does not use up the machine.
 */
export class BackOff {
  /** Ends in a row, each after less than STEADY_MS. */
  inRow = 0;

  /** Milliseconds to wait; `livedMs` is how long the one that ended had lived. */
  next(livedMs: number): number {
    this.inRow = livedMs >= STEADY_MS ? 1 : this.inRow + 1;
    if (this.inRow === 1) return 0;
    return Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(this.inRow - 2, 20));
  }
}
