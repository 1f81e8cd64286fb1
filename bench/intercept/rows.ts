import { pairedRatio, type Ratio } from "../compare/cpu-rows.ts";
import type { LoadReport } from "../load/load-plan.ts";
import { median, spread } from "../measure/quantile.ts";
import { checkTarget, type Target } from "../measure/target.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import type { WayName } from "./ways.ts";

/** One measurement of one way; microseconds of CPU per request, user and system together. */
export interface WaySample {
  /** Of what stands in the way; 0 where nothing does. */
  readonly proxyMicros: number;
  /** Of proxy, service and load. */
  readonly wholeMicros: number;
  readonly perSecond: number;
}

/** What a way costs, summed up over the rounds. */
export interface WayRow {
  readonly case: string;
  readonly way: WayName;
  readonly proxyMicros: number;
  readonly plusMinus: number;
  /** Proxy to that of the way `proxy`, round by round; null where there is none. */
  readonly toProxy: Ratio | null;
  readonly wholeMicros: number;
  /** Whole to that of the way `direct`, round by round. */
  readonly toDirect: Ratio;
  readonly perSecond: number;
  /** The proxy's figure of each round: what ratios are made of. */
  readonly proxyRounds: readonly number[];
}

/** Latencies of a way at a fixed rate, in microseconds. */
export interface WayLatencyRow {
  readonly way: WayName;
  readonly ratePerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** What is added to the way `direct`, round by round. */
  readonly addedP50: number;
  readonly addedP99: number;
  /** How late requests left, 99th percentile: the resolution of the other figures. */
  readonly lateP99: number;
}

/** Samples by way, one for each round. */
export type Samples<Sample> = ReadonlyMap<WayName, readonly Sample[]>;

/** Sums up one case. */
export function wayRows(name: string, samples: Samples<WaySample>): WayRow[] {
  const roundsOf = (way: WayName, of: keyof WaySample): number[] =>
    (samples.get(way) ?? []).map((sample) => sample[of]);
  return [...samples.keys()].map((way) => {
    const proxy = roundsOf(way, "proxyMicros");
    const whole = roundsOf(way, "wholeMicros");
    return {
      case: name,
      way,
      proxyMicros: median(proxy),
      plusMinus: way === "direct" ? 0 : spread(proxy) / 2,
      toProxy: way === "direct" ? null : pairedRatio(proxy, roundsOf("proxy", "proxyMicros")),
      wholeMicros: median(whole),
      toDirect: pairedRatio(whole, roundsOf("direct", "wholeMicros")),
      perSecond: median(roundsOf(way, "perSecond")),
      proxyRounds: proxy,
    };
  });
}

/** Sums up latencies. */
export function wayLatencyRows(rate: number, reports: Samples<LoadReport>): WayLatencyRow[] {
  const direct = reports.get("direct") ?? [];
  return [...reports].map(([way, rounds]) => {
    const middle = (of: keyof LoadReport): number => median(rounds.map((round) => round[of]));
    const added = (of: "p50" | "p99"): number =>
      median(rounds.map((round, i) => round[of] - (direct[i]?.[of] ?? Number.NaN)));
    return {
      way,
      ratePerSecond: rate,
      p50: middle("p50"),
      p99: middle("p99"),
      addedP50: added("p50"),
      addedP99: added("p99"),
      lateP99: middle("lateP99"),
    };
  });
}

/** Below this two figures of one run are the same. */
const SAME = 1.05;

/**
 * What is promised: being intercepted costs what being dialled costs. Next to `tracked`, too, since a
 * host of a cluster tracks its connections anyway.
 */
export function interceptTargets(
  rows: readonly WayRow[],
  latencies: readonly WayLatencyRow[],
): Target[] {
  const intercepted = rows.filter(({ way }) => way === "intercepted");
  const cpu = intercepted.flatMap((row) =>
    (["proxy", "tracked"] as const).map((way) => {
      const other = rows.find((each) => each.case === row.case && each.way === way);
      const { ratio } = pairedRatio(row.proxyRounds, other?.proxyRounds ?? []);
      return checkTarget(`${row.case}: CPU of the proxy, intercepted to ${way}`, ratio, SAME, "x");
    }),
  );
  const added = (way: WayName) => latencies.find((row) => row.way === way)?.addedP99 ?? Number.NaN;
  const what = "added p99, intercepted to proxy";
  return [...cpu, checkTarget(what, added("intercepted") / added("proxy"), SAME, "x")];
}

/** The tables for people. */
export function renderWays(rows: readonly WayRow[], latencies: readonly WayLatencyRow[]): string {
  const columns = columnsOf(
    ["case", "way"],
    ["proxy us", "+/-", "to proxy", "whole us", "to direct", "requests/s"],
  );
  const cells = rows.map((row) => [
    ...[row.case, row.way],
    ...(row.toProxy === null
      ? ["", "", ""]
      : [formatFigure(row.proxyMicros), percent(row.plusMinus), times(row.toProxy)]),
    ...[formatFigure(row.wholeMicros), times(row.toDirect), row.perSecond.toFixed(0)],
  ]);
  const timed = columnsOf(
    ["way"],
    ["rate/s", "p50 us", "p99 us", "added p50", "added p99", "late p99"],
  );
  const lines = latencies.map((row) => [
    ...[row.way, String(row.ratePerSecond)],
    ...[row.p50, row.p99, row.addedP50, row.addedP99, row.lateP99].map(formatFigure),
  ]);
  return `${renderTable(columns, cells)}\n\n${renderTable(timed, lines)}`;
}

function times({ ratio, plusMinus }: Ratio): string {
  return `${ratio.toFixed(2)} x ${percent(plusMinus).padStart(3)}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`;
}
