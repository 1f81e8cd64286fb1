import { LOAD_CPU } from "../host/machine.ts";
import type { LoadReport } from "../load/load-plan.ts";
import { runLoad } from "../load/run-load.ts";
import { rotate } from "../measure/interleave.ts";
import type { Bench } from "../scenario.ts";
import type { Case } from "./case.ts";
import { OURS } from "./contender.ts";
import { DIRECT, type LatencyRow, latencyRows } from "./latency-rows.ts";
import { perSecondOf, saturate } from "./measure-cpu.ts";

/** Connections that may be busy at once: more than a rate below saturation needs. */
const CONNECTIONS = 128;

const WARM_UP_MS = 1_000;

/** So many times the rounds of the other cases, and one more: the 99th percentile is what varies most. */
const ROUNDS_FACTOR = 2;

/** What else runs on the machine only ever lowers what is found. */
const SATURATION_TRIES = 2;

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
      const report = await runLoad(planOf(bench, each, port, rates.get(name) ?? 1), LOAD_CPU);
      reports.get(name)?.push(report);
      bench.say(`round ${round + 1}: ${each.name} ${name} p99 ${report.p99.toFixed(0)} us`);
    }
  }
  return latencyRows(each.name, rates, reports);
}

/** Requests a second that each takes at most under a closed loop: the better of some tries. */
async function findSaturations(
  bench: Bench,
  wrk: string,
  each: Case,
  ports: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const most = new Map<string, number>();
  for (let i = 0; i < (bench.options.short ? 1 : SATURATION_TRIES); i++) {
    for (const [name, port] of ports) {
      const rate = perSecondOf(await saturate({ wrk, seconds: 1 }, port, each));
      most.set(name, Math.max(rate, most.get(name) ?? 0));
    }
  }
  return most;
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

function planOf(bench: Bench, each: Case, port: number, ratePerSecond: number) {
  return {
    shape: "fixed-rate",
    port,
    path: each.request.path,
    fields: each.request.fields.map(splitField),
    ratePerSecond,
    connections: CONNECTIONS,
    warmUpMs: WARM_UP_MS,
    durationMs: bench.options.seconds * 1_000,
  } as const;
}

function splitField(field: string): [string, string] {
  const colon = field.indexOf(": ");
  return [field.slice(0, colon), field.slice(colon + 2)];
}
