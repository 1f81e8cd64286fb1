import { performance } from "node:perf_hooks";

/** Time as the processes see it; tests pass their own. */
export interface Clock {
  /** Milliseconds since some fixed point; never goes back. For deadlines and durations. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. For what people and other machines read. */
  epochMs(): number;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
};
