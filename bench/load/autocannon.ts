import autocannon from "autocannon";
import { BenchError } from "../bench-error.ts";

/** What one run of autocannon found; latencies in milliseconds, of a closed loop. */
export interface AutocannonReport {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Keeps `connections` busy for some seconds; fails if a single answer was no 2xx. */
export async function runAutocannon(
  url: string,
  headers: Readonly<Record<string, string>>,
  connections: number,
  seconds: number,
): Promise<AutocannonReport> {
  const result = await autocannon({ url, headers, connections, duration: seconds, timeout: 10 });
  const failed = result.errors + result.timeouts + result.non2xx;
  if (failed > 0 || result["2xx"] === 0) {
    throw new BenchError(`${failed} requests to ${url} failed, ${result["2xx"]} were answered`);
  }
  return {
    perSecond: result["2xx"] / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  };
}
