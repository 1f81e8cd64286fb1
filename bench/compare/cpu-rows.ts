import { median, spread } from "../measure/quantile.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import type { Case } from "./case.ts";
import type { Contender } from "./contender.ts";
import type { CpuSample } from "./measure-cpu.ts";

/** How one stands to another: the median of what the rounds say, each within itself. */
export interface Ratio {
  readonly ratio: number;
  /** Half of what lies between the extremes of the rounds, as a share of the median. */
  readonly plusMinus: number;
}

/** The rounds of one proxy in one case, summed up; microseconds of CPU per request, bytes / 2^20. */
export interface CpuRow {
  readonly case: string;
  readonly proxy: string;
  readonly sandboxes: number;
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly totalMicros: number;
  readonly plusMinus: number;
  readonly perSecond: number;
  readonly pssMb: number;
  readonly privateDirtyMb: number;
  /** To every other proxy in the same case; only where the row is a Forklane's. */
  readonly to: Readonly<Record<string, Ratio>>;
  /** Total of each round: what ratios are made of. */
  readonly totals: readonly number[];
}

/** The samples of one case, by the name of the proxy, a sample for each round. */
export type CaseSamples = ReadonlyMap<string, readonly CpuSample[]>;

/** Sums up one case. */
export function cpuRows(
  each: Case,
  contenders: readonly Contender[],
  samples: CaseSamples,
): CpuRow[] {
  const totalsOf = (name: string): number[] =>
    (samples.get(name) ?? []).map((sample) => sample.userMicros + sample.systemMicros);
  const measured = contenders.filter(({ name }) => samples.has(name));
  return measured.map(({ name, program }) => {
    const totals = totalsOf(name);
    const others = program === "forklane" ? measured.filter((other) => other.name !== name) : [];
    const middle = (of: keyof CpuSample): number =>
      median((samples.get(name) ?? []).map((sample) => sample[of]));
    return {
      case: each.name,
      proxy: name,
      sandboxes: each.setup.sandboxes,
      userMicros: middle("userMicros"),
      systemMicros: middle("systemMicros"),
      totalMicros: median(totals),
      plusMinus: spread(totals) / 2,
      perSecond: middle("perSecond"),
      pssMb: middle("pssBytes") / 2 ** 20,
      privateDirtyMb: middle("privateDirtyBytes") / 2 ** 20,
      to: Object.fromEntries(
        others.map((other) => [other.name, pairedRatio(totals, totalsOf(other.name))]),
      ),
      totals,
    };
  });
}

/**
 * Compares round by round: what else the machine did in a round hit both, and drops out.
 *
 * `values` and `others` are as long as there were rounds.
 */
export function pairedRatio(values: readonly number[], others: readonly number[]): Ratio {
  const ratios = values.map((value, round) => value / (others[round] ?? Number.NaN));
  return { ratio: median(ratios), plusMinus: spread(ratios) / 2 };
}

/** The table for people; a column for each one that a Forklane is compared with. */
export function renderCpuRows(rows: readonly CpuRow[]): string {
  if (rows.length === 0) return "";
  const others = [...new Set(rows.flatMap((row) => Object.keys(row.to)))];
  const columns = columnsOf(
    ["case", "proxy"],
    [
      ...["user us", "system us", "total us", "+/-"],
      ...others.map((name) => `to ${name}`),
      ...["requests/s", "PSS MB", "dirty MB"],
    ],
  );
  const cells = rows.map((row) => [
    ...[row.case, row.proxy],
    ...[row.userMicros, row.systemMicros, row.totalMicros].map(formatFigure),
    renderPlusMinus(row.plusMinus),
    ...others.map((name) => renderRatio(row.to[name])),
    ...[row.perSecond.toFixed(0), formatFigure(row.pssMb), formatFigure(row.privateDirtyMb)],
  ]);
  return renderTable(columns, cells);
}

function renderRatio(ratio: Ratio | undefined): string {
  if (ratio === undefined) return "";
  return `${ratio.ratio.toFixed(2)} x ${renderPlusMinus(ratio.plusMinus).padStart(3)}`;
}

function renderPlusMinus(share: number): string {
  return `${(share * 100).toFixed(0)}%`;
}
