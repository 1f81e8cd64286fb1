/**
 * What a load process is told, and what it answers; both as one line of JSON.
 *
 * `back-to-back`: the next request leaves when the last answer is there: the time of one exchange
 * with nothing else going on. `fixed-rate`: requests are due at fixed times whatever the answers
 * do, and a latency counts from when its request was due, so that a stall counts for every
 * request that it kept waiting (coordinated omission). Only what fell due while the load itself was
 * away is not sent, and counted: nobody's answer kept it waiting.
 */
export interface LoadPlan {
  readonly shape: "back-to-back" | "fixed-rate";
  /** Where the port is; 127.0.0.1 where absent. */
  readonly host?: string;
  readonly port: number;
  readonly path: string;
  /** Fields that every request carries. */
  readonly fields: readonly (readonly [string, string])[];
  /** Requests a second, for `fixed-rate`. */
  readonly ratePerSecond: number;
  /** Connections; with a fixed rate those that may be busy at once. */
  readonly connections: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
}

/** Latencies in microseconds. */
export interface LoadReport {
  readonly requests: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** How late requests left, 99th percentile: what the load process itself adds at most. */
  readonly lateP99: number;
  /** Share of the requests that it did not send, since it was away itself when they fell due. */
  readonly leftOut: number;
}

/** Most samples of one run: a minute at 20,000 a second. */
export const SAMPLES_MAX = 1_200_000;
