import type { Metric } from "prom-client";

/**
 * What metrics say at one moment: as values that can be sent to another process, summed, and written.
 *
 * Before: telemetry/metrics.ts. After: admin/admin.ts (`/metrics`). Cold; the registry of prom-client is
 * loaded with the first text.
 */

/** One metric with all its series. */
export interface MetricSample {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: readonly SampleValue[];
}

/** One series. */
export interface SampleValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Where it differs from the metric's own: `_bucket`, `_sum`, `_count`. */
  readonly metricName?: string;
}

/** The text of an answer to a scrape. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** The text for Prometheus, and its content type. */
export async function expositionOf(samples: readonly MetricSample[]): Promise<Exposition> {
  // Not the whole of it: its index also loads OpenTelemetry, quantiles and a cluster, 3 MB.
  const { default: Registry } = await import("prom-client/lib/registry.js");
  const registry = new Registry();
  for (const sample of samples) {
    // prom-client asks a metric only for its name and for `get`; the numbers are ours.
    const metric = { name: sample.name, get: async () => ({ ...sample, aggregator: "sum" }) };
    registry.registerMetric(metric as unknown as Metric);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** Gauges that say nothing as a sum: the oldest process began when the whole did. */
const EARLIEST: ReadonlySet<string> = new Set(["process_start_time_seconds"]);

/**
 * The samples of several processes as those of one: series with the same name and labels are summed,
 * in the order in which they were first met. Histograms are cumulative, so their buckets may be.
 */
export function sumSamples(of: readonly (readonly MetricSample[])[]): MetricSample[] {
  const byName = new Map<string, { sample: MetricSample; series: Map<string, SampleValue> }>();
  for (const sample of of.flat()) {
    const sum = byName.get(sample.name) ?? { sample, series: new Map<string, SampleValue>() };
    byName.set(sample.name, sum);
    for (const value of sample.values) addValue(sum.series, value, EARLIEST.has(sample.name));
  }
  return [...byName.values()].map(({ sample, series }) => ({
    ...sample,
    values: [...series.values()],
  }));
}

/** What is left of a process that is gone: what it counted, not what it held. */
export function countedOnly(samples: readonly MetricSample[]): MetricSample[] {
  return samples.filter(({ type }) => type !== "gauge");
}

function addValue(series: Map<string, SampleValue>, added: SampleValue, isEarliest: boolean): void {
  const key = JSON.stringify([added.metricName, added.labels]);
  const before = series.get(key)?.value;
  if (before === undefined) series.set(key, added);
  else {
    const value = isEarliest ? Math.min(before, added.value) : before + added.value;
    series.set(key, { ...added, value });
  }
}
