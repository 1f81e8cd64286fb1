/**
 * The chance of `count` or more events where `mean` are expected (Poisson); 1 for none.
 *
 * Exact to double precision for the means that a window of minutes has; for a large mean the terms
 * underflow to 0, and the answer to 1: nothing is found then, never too much.
 */
export function poissonTail(count: number, mean: number): number {
  let term = Math.exp(-mean);
  let below = 0;
  for (let k = 0; k < count; k++) {
    below += term;
    term *= mean / (k + 1);
  }
  return Math.min(1, Math.max(0, 1 - below));
}
