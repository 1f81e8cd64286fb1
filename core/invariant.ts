/** A broken invariant of ours: never caused by input, always a bug. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/**
 * Told of an exception, which is always a bug, once what it came from is closed. Where it throws in its
 * turn, the process ends: in tests.
 */
export type OnBug = (error: unknown) => void;

/** Where nobody else is told: the process ends. */
export function throwAgain(error: unknown): never {
  throw error;
}

/**
 * Throws BugError when something that cannot be is.
 *
 * Not for input from peers, users or the network: those are faults and results.
 */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new BugError(why);
}
