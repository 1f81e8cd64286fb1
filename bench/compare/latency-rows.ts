import type { LoadReport } from "../load/load-plan.ts";
import { median } from "../measure/quantile.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";

/** The way to the service without a proxy. */
export const DIRECT = "direct";

/** Latency of one proxy at a fixed rate, in microseconds; what it adds is taken round by round. */
export interface LatencyRow {
  readonly case: string;
  readonly proxy: string;
  readonly ratePerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly addedP50: number;
  readonly addedP99: number;
  readonly addedP999: number;
  /** How late requests left, 99th percentile: the resolution of the other figures. */
  readonly lateP99: number;
  /** Share of the requests that the load left out, since it was away itself. */
  readonly leftOut: number;
}

/** Sums up one case; `reports` by the name of the proxy, with DIRECT among them. */
export function latencyRows(
  name: string,
  rates: ReadonlyMap<string, number>,
  reports: ReadonlyMap<string, readonly LoadReport[]>,
): LatencyRow[] {
  const direct = reports.get(DIRECT) ?? [];
  return [...reports].map(([proxy, rounds]) => {
    const middle = (of: keyof LoadReport): number => median(rounds.map((round) => round[of]));
    const added = (of: "p50" | "p99" | "p999"): number =>
      median(rounds.map((round, i) => round[of] - (direct[i]?.[of] ?? Number.NaN)));
    return {
      case: name,
      proxy,
      ratePerSecond: rates.get(proxy) ?? 0,
      p50: middle("p50"),
      p99: middle("p99"),
      p999: middle("p999"),
      addedP50: added("p50"),
      addedP99: added("p99"),
      addedP999: added("p999"),
      lateP99: middle("lateP99"),
      leftOut: middle("leftOut"),
    };
  });
}

/** The table for people. */
export function renderLatencyRows(rows: readonly LatencyRow[]): string {
  if (rows.length === 0) return "";
  const columns = columnsOf(
    ["case", "proxy"],
    [
      "rate/s",
      "p50 us",
      "p99 us",
      "p99.9 us",
      "added p50",
      "added p99",
      "added p99.9",
      "late p99",
      "left out",
    ],
  );
  const cells = rows.map((row) => [
    ...[row.case, row.proxy, String(row.ratePerSecond)],
    ...[row.p50, row.p99, row.p999].map(formatFigure),
    ...[row.addedP50, row.addedP99, row.addedP999, row.lateP99].map(formatFigure),
    `${(row.leftOut * 100).toFixed(1)}%`,
  ]);
  return renderTable(columns, cells);
}
