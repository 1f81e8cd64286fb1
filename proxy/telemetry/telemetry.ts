import type { Clock } from "../../core/clock.ts";
import type { ProxyConfig } from "../config.ts";
import type { ExchangeSink } from "../exchange/record.ts";
import { startAccessLog } from "./access-log.ts";
import { HopRecords } from "./hop-records.ts";
import { LastSeen } from "./last-seen.ts";
import { type MetricReadings, Metrics } from "./metrics.ts";
import { Observations } from "./observations.ts";
import { startSpans } from "./spans.ts";

/** All that is told of exchanges, and how to stop it. */
export interface Telemetry {
  readonly sinks: readonly ExchangeSink[];
  readonly metrics: Metrics;
  readonly hops: HopRecords;
  readonly observations: Observations;
  readonly lastSeen: LastSeen;
  /** Numbers that others keep; set once they exist. */
  readings: () => MetricReadings;
  stop(): Promise<void>;
}

/**
 * Starts what the configuration asks for; what it does not ask for is not loaded.
 *
 * Before: proxy.ts. After: each exchange/record.ts.
 */
export async function startTelemetry(config: ProxyConfig, clock: Clock): Promise<Telemetry> {
  const { workload, instance: proxy, sandbox, carriers } = config;
  const spans = await startSpans(config.otlp, workload);
  const accessLog = await startAccessLog(config.accessLog, workload);
  const observations = new Observations({ workload, proxy, sandbox, carriers, clock });
  const hops = new HopRecords({ workload, proxy, sandbox, observations });
  const lastSeen = new LastSeen();
  const telemetry: Telemetry = {
    metrics: new Metrics({
      workload,
      readings: () => ({
        ...telemetry.readings(),
        hopRecordsDropped: hops.droppedTotal,
        ...(accessLog !== null && { accessLogLinesDropped: accessLog.droppedLines }),
      }),
    }),
    hops,
    observations,
    lastSeen,
    readings: () => ({}),
    get sinks() {
      return sinks;
    },
    async stop(): Promise<void> {
      await accessLog?.stop();
      await spans?.stop();
    },
  };
  const sinks: ExchangeSink[] = [telemetry.metrics, lastSeen];
  if (accessLog !== null) sinks.push(accessLog);
  // Without control nobody asks for hop records.
  if (config.control !== null) sinks.push(hops);
  if (spans !== null) sinks.push(spans);
  return telemetry;
}
