import { LOAD_CPU } from "../host/machine.ts";
import type { LoadReport } from "../load/load-plan.ts";
import { runLoad } from "../load/run-load.ts";
import { interleave, rotate } from "../measure/interleave.ts";
import { median } from "../measure/quantile.ts";
import type { Bench } from "../scenario.ts";
import type { Case } from "./case.ts";
import { OURS } from "./contender.ts";
import { DIRECT, type LatencyRow, latencyRows } from "./latency-rows.ts";
import { perSecondOf, saturate } from "./measure-cpu.ts";

/** Connections that may be busy at once: more than a rate below saturation needs. */
const CONNECTIONS = 128;

const WARM_UP_MS = 1_000;

/** Before the first load of a proxy: this one comes in another way than that of wrk, and code is made anew. */
const COLD_WARM_UP_MS = 8_000;

/** So many times the rounds of the other cases, and one more: the 99th percentile is what varies most. */
const ROUNDS_FACTOR = 2;

/** Of so many tries the middle one: half of the best one of a moment may be more than a proxy can take in all others. */
const SATURATION_TRIES = 5;

/** Measures one case: `ports` by the name of the proxy, with DIRECT among them. */
export async function measureLatency(
  bench: Bench,
  wrk: string,
  each: Case,
  ports: ReadonlyMap<string, number>,
): Promise<LatencyRow[]> {
  const rates = halfLoads(await findSaturations(bench, wrk, each, ports));
  const reports = new Map<string, LoadReport[]>([...ports.keys()].map((name) => [name, []]));
  const { rounds, short } = bench.options;
  for (let round = 0; round < (short ? rounds : rounds * ROUNDS_FACTOR + 1); round++) {
    for (const [name, port] of rotate([...ports], round)) {
      const warmUpMs = round === 0 && !short ? COLD_WARM_UP_MS : WARM_UP_MS;
      const plan = planOf(bench, each, port, rates.get(name) ?? 1, warmUpMs);
      const report = await runLoad(plan, LOAD_CPU);
      reports.get(name)?.push(report);
      bench.say(`round ${round + 1}: ${each.name} ${name} p99 ${report.p99.toFixed(0)} us`);
    }
  }
  return latencyRows(each.name, rates, reports);
}

/** Requests a second that each takes under a closed loop: the median of some tries. */
async function findSaturations(
  bench: Bench,
  wrk: string,
  each: Case,
  ports: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const tries = bench.options.short ? 1 : SATURATION_TRIES;
  const rates = await interleave([...ports.keys()], tries, async (name) => {
    return perSecondOf(await saturate({ wrk, seconds: 1 }, ports.get(name) ?? 0, each));
  });
  return new Map([...rates].map(([name, found]) => [name, median(found)]));
}

/**
 * The rate of each: half of what saturates Forklane, the same for all; but whoever cannot take twice
 * that gets half of what saturates itself, since a latency past saturation is only a queue.
 */
export function halfLoads(saturations: ReadonlyMap<string, number>): Map<string, number> {
  const ours = saturations.get(OURS) ?? Number.NaN;
  return new Map(
    [...saturations].map(([name, own]) => {
      const rate = name === DIRECT ? ours : Math.min(ours, own);
      return [name, Math.round(rate / 2)];
    }),
  );
}

function planOf(bench: Bench, each: Case, port: number, ratePerSecond: number, warmUpMs: number) {
  return {
    shape: "fixed-rate",
    port,
    path: each.request.path,
    fields: each.request.fields.map(splitField),
    ratePerSecond,
    connections: CONNECTIONS,
    warmUpMs,
    durationMs: bench.options.seconds * 1_000,
  } as const;
}

function splitField(field: string): [string, string] {
  const colon = field.indexOf(": ");
  return [field.slice(0, colon), field.slice(colon + 2)];
}
