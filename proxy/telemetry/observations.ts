import type { Clock } from "../../core/clock.ts";
import { CLIENT_CHARS_MAX, OBSERVE_MS_MAX, type Observation } from "../../core/observation.ts";
import { NO_HOP } from "../exchange/placed-hop.ts";
import type { FinishedExchange } from "../exchange/record.ts";
import type { Carrier } from "../routing/carrier.ts";
import { readTraceId } from "../routing/trace-id.ts";
import { type OldestLines, oldestLines } from "./oldest-lines.ts";
import { readMark, tagStateOf } from "./tag-state.ts";

/**
 * Holds what the propagation doctor needs beside hop records: exchanges that came without their tag.
 *
 * Before: telemetry/hop-records.ts. After: watch/report.ts, with the hop records.
 * Invariants: nothing is held unless control has opened a window; never more than OBSERVATIONS_MAX
 * in one window, and what is left out is counted; no value of baggage is kept.
 * Hot path: while no window is open, one look at a boolean.
 */

/** Observations of one window: about 1 MB, some seconds of untagged traffic. */
export const OBSERVATIONS_MAX = 2_000;

/** Who observes. */
export interface ObservationsOptions {
  readonly workload: string;
  readonly proxy: string;
  readonly sandbox: string | null;
  readonly carriers: readonly Carrier[];
  readonly clock: Clock;
}

/** What one window has seen, until control has it. */
export class Observations {
  readonly #options: ObservationsOptions;
  /** JSON, a line each, oldest first. */
  readonly #lines: string[] = [];
  #untilMs = 0;
  #seen = 0;
  #dropped = 0;
  /** Whether to call `observe`. */
  isOpen = false;

  constructor(options: ObservationsOptions) {
    this.#options = options;
  }

  /** Left out since the window opened. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Observes for this long from now, at most OBSERVE_MS_MAX; 0 or less: no longer. */
  observeFor(ms: number): void {
    const isWanted = ms > 0;
    const nowMs = this.#options.clock.nowMs();
    // A window that is over is noticed by the next exchange only, and there may have been none.
    if (isWanted && (!this.isOpen || nowMs >= this.#untilMs)) this.#begin();
    this.#untilMs = nowMs + Math.min(ms, OBSERVE_MS_MAX);
    this.isOpen = isWanted;
  }

  /** Notes an exchange if there is something to say of its tag. Call it only while `isOpen`. */
  observe(exchange: FinishedExchange): void {
    // What a call lost is seen where it arrives.
    if (exchange.mode === "outbound") return;
    if (exchange.endedAtMs > this.#untilMs) {
      this.isOpen = false;
      return;
    }
    const state = tagStateOf(exchange.fields, this.#options.carriers, exchange.place !== NO_HOP);
    if (state === null) return;
    if (this.#seen >= OBSERVATIONS_MAX) {
      this.#dropped++;
      return;
    }
    this.#seen++;
    this.#lines.push(`${JSON.stringify(this.#build(exchange, state))}\n`);
  }

  /** The oldest lines, at most `bytesMax` bytes of them; null if there are none. */
  take(bytesMax: number): OldestLines | null {
    return oldestLines(this.#lines, bytesMax);
  }

  /** Control has the first `count`, or will never take them. */
  remove(count: number, wasTaken: boolean): void {
    this.#lines.splice(0, count);
    if (!wasTaken) this.#dropped += count;
  }

  #begin(): void {
    this.#seen = this.#lines.length;
    this.#dropped = 0;
  }

  #build(exchange: FinishedExchange, state: Observation["state"]): Observation {
    const { workload, proxy, sandbox } = this.#options;
    const mark = readMark(exchange.fields, state);
    return {
      v: 1,
      kind: "observation",
      state,
      timeMs: exchange.startEpochMs,
      totalMs: Math.round((exchange.endedAtMs - exchange.startedAtMs) * 1000) / 1000,
      workload,
      proxy,
      sandbox,
      caller: exchange.downstreamAddress === "" ? null : exchange.downstreamAddress,
      method: exchange.method,
      client: clientOf(exchange),
      traceId: readTraceId(exchange.fields),
      root: mark?.root ?? null,
      parent: mark?.hop ?? null,
      hop: exchange.place === NO_HOP ? null : exchange.place.hop,
    };
  }
}

/** `user-agent` as far as it can be shown. */
function clientOf({ fields }: FinishedExchange): string | null {
  const at = fields.find("user-agent", 0);
  if (at < 0) return null;
  return fields
    .value(at)
    .slice(0, CLIENT_CHARS_MAX)
    .replace(/[^ -~]/g, "?");
}
