import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import { FAULTS, type FaultCode } from "../fault.ts";
import type { Outcome, Reason } from "../routing/decision.ts";
import { type Exposition, expositionOf, type MetricSample, type SampleValue } from "./samples.ts";

/**
 * Counts exchanges, and writes the counts for Prometheus when somebody asks.
 *
 * Before: exchange/record.ts. After: samples.ts for admin (`/metrics`), watch/report.ts (`counters`).
 * Invariant: labels come from closed sets (workload, outcome, reason, fault code), never from a peer.
 * Hot path: `finished` adds to plain numbers; prom-client is loaded with the first scrape.
 */

const OUTCOMES: readonly Outcome[] = ["fork", "baseline", "refused"];

/** Every reason; the type makes sure that none is missing. */
const REASON_INDEX: Readonly<Record<Reason, number>> = {
  fork: 0,
  "no-key": 1,
  "not-forked": 2,
  "unknown-key": 3,
  expired: 4,
  "table-unknown": 5,
  "table-stale": 6,
  "tag-unreadable": 7,
  "tag-ambiguous": 8,
  "fork-down": 9,
  "wrong-fork": 10,
  loop: 11,
};
const REASONS = Object.keys(REASON_INDEX) as Reason[];

/** Upper bounds of the duration histogram, in seconds: from a loopback hop to a long poll. */
const DURATION_BOUNDS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
];
const DURATION_BOUNDS_MS = DURATION_BOUNDS_S.map((seconds) => seconds * 1000);

/** Numbers that others keep, read when somebody scrapes. A missing one is not written. */
export interface MetricReadings {
  /** Milliseconds since control confirmed the table; null without a table. */
  readonly tableAgeMs?: number | null;
  readonly isTableStale?: boolean;
  /** Tables kept out, by why. The whys are a closed set. */
  readonly tablesRejected?: Readonly<Record<string, number>>;
  readonly hopRecordsDropped?: number;
  /** Requests with tags that differ. */
  readonly tagAmbiguous?: number;
  readonly connectionsOpen?: number;
  /** Connections that were not let in, by why: nobody began an exchange on them. */
  readonly connectionsRefused?: Readonly<Partial<Record<FaultCode, number>>>;
  /** Calls that were passed untouched, by why. The whys are a closed set. */
  readonly callsPassed?: Readonly<Record<string, number>> | null;
  readonly accessLogLinesDropped?: number;
}

/** What Metrics needs to know. */
export interface MetricsOptions {
  readonly workload: string;
  readonly readings?: () => MetricReadings;
}

/** The counts of one process. */
export class Metrics implements ExchangeSink {
  readonly #options: MetricsOptions;
  readonly #exchanges = new Float64Array(OUTCOMES.length * REASONS.length);
  readonly #faults = zeroForEachFault();
  readonly #durations = OUTCOMES.map(() => new DurationHistogram());
  #requestBytes = 0;
  #responseBytes = 0;
  #repeated = 0;
  #bugs = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  finished(exchange: FinishedExchange): void {
    const outcome = outcomeIndex(exchange.decision.outcome);
    const cell = outcome * REASONS.length + REASON_INDEX[exchange.decision.reason];
    this.#exchanges[cell] = (this.#exchanges[cell] ?? 0) + 1;
    this.#durations[outcome]?.add(exchange.endedAtMs - exchange.startedAtMs);
    if (exchange.fault !== null) this.#faults[exchange.fault]++;
    this.#requestBytes += exchange.requestBytes;
    this.#responseBytes += exchange.responseBytes;
    if (exchange.attempt > 1) this.#repeated++;
  }

  /** Counts what is wrong with the rest of a request whose exchange is over. */
  lateFault(code: FaultCode): void {
    this.#faults[code]++;
  }

  /** Counts a broken invariant of ours. */
  bug(): void {
    this.#bugs++;
  }

  /** The few numbers that control shows of each proxy. */
  counters(): Record<string, number> {
    const counters: Record<string, number> = {
      exchanges: 0,
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
      faults: Object.values(this.#faults).reduce((sum, count) => sum + count, 0),
      bugs: this.#bugs,
    };
    for (const { outcome, count } of this.#cells()) {
      counters["exchanges"] = (counters["exchanges"] ?? 0) + count;
      counters[outcome] = (counters[outcome] ?? 0) + count;
    }
    return counters;
  }

  /** The text for Prometheus, and its content type. */
  exposition(): Promise<Exposition> {
    return expositionOf(this.samples());
  }

  /** What the metrics say now. */
  samples(): MetricSample[] {
    return this.#describe();
  }

  #describe(): MetricSample[] {
    const workload = this.#options.workload;
    return [
      counter("forklane_exchanges_total", "Exchanges that are over, by final decision.", () =>
        this.#cells()
          .filter(({ count }) => count > 0)
          .map(({ outcome, reason, count }) => ({
            value: count,
            labels: { workload, outcome, reason },
          })),
      ),
      counter("forklane_faults_total", "What failed or was refused, by code.", () => {
        const refused = this.#options.readings?.().connectionsRefused ?? {};
        return (Object.keys(FAULTS) as FaultCode[]).map((code) => ({
          value: this.#faults[code] + (refused[code] ?? 0),
          labels: { code },
        }));
      }),
      histogram(
        "forklane_exchange_duration_seconds",
        "From the request head to the end of the exchange.",
        () => this.#durations.flatMap((durations, i) => durations.values(OUTCOMES[i] ?? "")),
      ),
      counter("forklane_request_bytes_total", "Request body bytes, without framing.", () =>
        single(this.#requestBytes),
      ),
      counter("forklane_response_bytes_total", "Response body bytes, without framing.", () =>
        single(this.#responseBytes),
      ),
      counter("forklane_exchanges_repeated_total", "Exchanges that were sent twice.", () =>
        single(this.#repeated),
      ),
      counter("forklane_bugs_total", "Broken invariants of the proxy itself.", () =>
        single(this.#bugs),
      ),
      ...this.#describeReadings(),
      ...describeRuntime(),
    ];
  }

  #describeReadings(): MetricSample[] {
    const read = () => this.#options.readings?.() ?? {};
    return [
      gauge("forklane_table_age_seconds", "Since control last confirmed the routing table.", () =>
        optional(read().tableAgeMs, 1000),
      ),
      gauge("forklane_table_stale", "1 while control is lost for longer than the lease.", () => {
        const stale = read().isTableStale;
        return stale === undefined ? [] : single(stale ? 1 : 0);
      }),
      counter("forklane_tables_rejected_total", "Tables that were kept out, by why.", () =>
        Object.entries(read().tablesRejected ?? {}).map(([why, value]) => ({
          value,
          labels: { why },
        })),
      ),
      counter(
        "forklane_hop_records_dropped_total",
        "Hop records dropped because the budget was used up or control refused them.",
        () => optional(read().hopRecordsDropped),
      ),
      counter("forklane_tag_ambiguous_total", "Requests with tags that differ.", () =>
        optional(read().tagAmbiguous),
      ),
      gauge("forklane_downstream_connections", "Open downstream connections.", () =>
        optional(read().connectionsOpen),
      ),
      counter("forklane_calls_passed_total", "Redirected calls passed untouched, by why.", () =>
        Object.entries(read().callsPassed ?? {}).map(([why, value]) => ({
          value,
          labels: { why },
        })),
      ),
      counter("forklane_access_log_lines_dropped_total", "Lines that could not be written.", () =>
        optional(read().accessLogLinesDropped),
      ),
    ];
  }

  #cells(): { outcome: Outcome; reason: Reason; count: number }[] {
    return OUTCOMES.flatMap((outcome, i) =>
      REASONS.map((reason, j) => ({
        outcome,
        reason,
        count: this.#exchanges[i * REASONS.length + j] ?? 0,
      })),
    );
  }
}

function outcomeIndex(outcome: Outcome): number {
  if (outcome === "baseline") return 1;
  return outcome === "fork" ? 0 : 2;
}

function zeroForEachFault(): Record<FaultCode, number> {
  return Object.fromEntries(Object.keys(FAULTS).map((code) => [code, 0])) as Record<
    FaultCode,
    number
  >;
}

/** Durations of one outcome, in buckets. */
class DurationHistogram {
  /** One more than there are bounds: the last is for what is longer than all of them. */
  readonly #buckets = new Float64Array(DURATION_BOUNDS_MS.length + 1);
  #sumMs = 0;

  add(ms: number): void {
    let i = 0;
    while (i < DURATION_BOUNDS_MS.length && ms > (DURATION_BOUNDS_MS[i] as number)) i++;
    this.#buckets[i] = (this.#buckets[i] ?? 0) + 1;
    this.#sumMs += ms;
  }

  /** Cumulative, as the exposition format wants them. */
  values(outcome: string): SampleValue[] {
    const name = "forklane_exchange_duration_seconds";
    let count = 0;
    const buckets = Array.from(this.#buckets, (inBucket, i) => {
      count += inBucket;
      const le = DURATION_BOUNDS_S[i] ?? "+Inf";
      return { metricName: `${name}_bucket`, value: count, labels: { le, outcome } };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, value: this.#sumMs / 1000, labels: { outcome } },
      { metricName: `${name}_count`, value: count, labels: { outcome } },
    ];
  }
}

function collected(type: MetricSample["type"]) {
  return (name: string, help: string, values: () => readonly SampleValue[]): MetricSample => ({
    name,
    help,
    type,
    values: values(),
  });
}

const counter = collected("counter");
const gauge = collected("gauge");
const histogram = collected("histogram");

function single(value: number): SampleValue[] {
  return [{ value, labels: {} }];
}

function optional(value: number | null | undefined, divisor = 1): SampleValue[] {
  return value === undefined || value === null ? [] : single(value / divisor);
}

function describeRuntime(): MetricSample[] {
  return [
    gauge("process_resident_memory_bytes", "Resident memory.", () =>
      single(process.memoryUsage.rss()),
    ),
    gauge("nodejs_heap_used_bytes", "Used heap.", () => single(process.memoryUsage().heapUsed)),
    counter("process_cpu_seconds_total", "User and system time.", () => {
      const { user, system } = process.cpuUsage();
      return single((user + system) / 1e6);
    }),
    gauge("process_start_time_seconds", "When the process started, since the Unix epoch.", () =>
      single(Math.round(Date.now() / 1000 - process.uptime())),
    ),
  ];
}
