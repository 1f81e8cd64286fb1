/** A broken invariant of ours: never caused by input, always a bug. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/**
 * Throws BugError when something that cannot be is.
 *
 * Not for input from peers, users or the network: those are faults and results.
 */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new BugError(why);
}
