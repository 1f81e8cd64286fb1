import { BenchError } from "../bench-error.ts";
import { quantilesOf } from "../measure/quantile.ts";
import { type LoadPlan, type LoadReport, SAMPLES_MAX } from "./load-plan.ts";

/** How long after its time a run waits for the first answer, in milliseconds. */
const FIRST_ANSWER_MS = 30_000;

/** Collects the latencies of a run, without those of its warm-up. Takes ms, answers microseconds. */
export class LoadSamples {
  readonly #beginMs: number;
  readonly #endMs: number;
  readonly #latencies: number[] = [];
  readonly #lateness: number[] = [];
  #leftOut = 0;

  constructor(plan: Pick<LoadPlan, "warmUpMs" | "durationMs">, nowMs: number) {
    this.#beginMs = nowMs + plan.warmUpMs;
    this.#endMs = this.#beginMs + plan.durationMs;
  }

  /** True when the time is over, or SAMPLES_MAX are there. A machine that stalls may need longer for one. */
  isOver(nowMs: number): boolean {
    if (this.#latencies.length >= SAMPLES_MAX) return true;
    return nowMs >= this.#endMs + (this.#latencies.length === 0 ? FIRST_ANSWER_MS : 0);
  }

  /** Takes one answer; `dueMs` is when its request should have left, `lateMs` how much later it did. */
  add(dueMs: number, nowMs: number, lateMs: number): void {
    if (dueMs < this.#beginMs) return;
    if (dueMs >= this.#endMs && this.#latencies.length > 0) return;
    this.#latencies.push((nowMs - dueMs) * 1_000);
    this.#lateness.push(lateMs * 1_000);
  }

  /** Takes how many requests the load did not send because it was away itself. */
  leaveOut(requests: number, nowMs: number): void {
    if (nowMs >= this.#beginMs) this.#leftOut += requests;
  }

  /** Fails if nothing was answered. */
  report(): LoadReport {
    if (this.#latencies.length === 0) throw new BenchError("no request was answered in time");
    const { count, ...latencies } = quantilesOf(this.#latencies);
    const leftOut = this.#leftOut / (this.#leftOut + count);
    return { requests: count, ...latencies, lateP99: quantilesOf(this.#lateness).p99, leftOut };
  }
}
