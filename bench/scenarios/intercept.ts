import type { RequestShape } from "../compare/case.ts";
import { LOAD_CPU, requireTwoLinuxCpus } from "../host/machine.ts";
import { type CpuTime, readCpuTime, readEndedChildrenTime, sumCpuTime } from "../host/proc-stat.ts";
import { findProgram, programVersion } from "../host/program.ts";
import { removeHosts } from "../intercept/hosts.ts";
import {
  interceptTargets,
  renderWays,
  type WayLatencyRow,
  type WayRow,
  type WaySample,
  wayLatencyRows,
  wayRows,
} from "../intercept/rows.ts";
import { startWays, type Way } from "../intercept/ways.ts";
import type { LoadReport } from "../load/load-plan.ts";
import { runLoad } from "../load/run-load.ts";
import { runWrk, type WrkReport } from "../load/wrk.ts";
import { interleave } from "../measure/interleave.ts";
import { formatFigure } from "../measure/text-table.ts";
import type { Bench, Findings, Scenario } from "../scenario.ts";

/** Connections of a closed loop; with a fixed rate those that may be busy at once. */
const CONNECTIONS = { saturating: 32, "fixed rate": 128 } as const;

/** Before the first measurement of a way longer, until machine code is made. */
const WARM_UP_SECONDS = 1;
const COLD_WARM_UP_SECONDS = 3;
const LATENCY_WARM_UP_MS = 500;

/** What is asked: small, untagged, of a service that nobody forks. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  "keep-alive": [],
  "new-connections": ["Connection: close"],
};

/** What it costs a service to be intercepted. */
export const intercept: Scenario = {
  about: "what interception adds to a service that nobody forks; needs root",
  effort: { rounds: 5, seconds: 2 },

  async run(bench: Bench): Promise<Findings> {
    requireTwoLinuxCpus("intercept");
    process.once("exit", removeHosts);
    try {
      return await measureAll(bench, await startWays(bench));
    } finally {
      await bench.children.stopAll();
      removeHosts();
      process.off("exit", removeHosts);
    }
  },
};

async function measureAll(bench: Bench, ways: readonly Way[]): Promise<Findings> {
  const wrk = await findProgram("wrk");
  const rows: WayRow[] = [];
  for (const [name, fields] of Object.entries(CASES)) {
    rows.push(...wayRows(name, await measureCase(bench, wrk, ways, name, fields)));
  }
  const latencies = await measureLatencies(bench, wrk, ways);
  return {
    text: renderWays(rows, latencies),
    rows: [...rows, ...latencies],
    targets: interceptTargets(rows, latencies),
    versions: { nginx: await programVersion(await findProgram("nginx"), "-v") },
  };
}

/** Each way once a round. */
async function eachWay<Sample>(
  bench: Bench,
  ways: readonly Way[],
  measure: (way: Way, round: number) => Promise<Sample>,
) {
  const byName = new Map(ways.map((way) => [way.name, way]));
  const names = ways.map(({ name }) => name);
  const samples = await interleave(names, bench.options.rounds, async (name, round) => {
    const way = byName.get(name as Way["name"]);
    if (way === undefined) throw new Error(`no way ${name}`);
    return await measure(way, round);
  });
  return samples as ReadonlyMap<Way["name"], readonly Sample[]>;
}

async function measureCase(
  bench: Bench,
  wrk: string,
  ways: readonly Way[],
  name: string,
  fields: readonly string[],
) {
  const { seconds, short } = bench.options;
  return await eachWay<WaySample>(bench, ways, async (way, round) => {
    const warmUp = round === 0 ? COLD_WARM_UP_SECONDS : WARM_UP_SECONDS;
    if (!short) await saturate(wrk, way, fields, warmUp);
    const before = await readTimes(way);
    const report = await saturate(wrk, way, fields, seconds);
    const after = await readTimes(way);
    const perRequest = (of: "proxy" | "whole") =>
      (microsOf(after[of]) - microsOf(before[of])) / report.requests;
    const sample = {
      proxyMicros: perRequest("proxy"),
      wholeMicros: perRequest("whole"),
      perSecond: report.requests / (report.durationMicros / 1e6),
    };
    const { proxyMicros, wholeMicros } = sample;
    bench.say(
      `round ${round + 1}: ${name} ${way.name} ${formatFigure(proxyMicros)} us of ${formatFigure(wholeMicros)}`,
    );
    return sample;
  });
}

/** All that a request keeps busy: what stands in the way, the service, and loads that have ended. */
async function readTimes(way: Way): Promise<{ readonly proxy: CpuTime; readonly whole: CpuTime }> {
  const proxy = sumCpuTime(await Promise.all(way.proxies.map(({ pid }) => readCpuTime(pid))));
  const service = await readCpuTime(way.service.pid);
  return { proxy, whole: sumCpuTime([proxy, service, readEndedChildrenTime()]) };
}

function microsOf({ userMicros, systemMicros }: CpuTime): number {
  return userMicros + systemMicros;
}

function saturate(
  wrk: string,
  { host, port, inside }: Way,
  fields: readonly string[],
  seconds: number,
): Promise<WrkReport> {
  const request: RequestShape = {
    method: "GET",
    path: "/",
    bodyBytes: 0,
    fields,
    baggage: null,
  };
  const connections = CONNECTIONS.saturating;
  const plan = { wrk, host, port, connections, seconds, request, cpu: LOAD_CPU };
  return runWrk({ ...plan, inside });
}

/** All at the same rate: a quarter of what saturates the way that takes least, since the load has to keep up. */
async function measureLatencies(
  bench: Bench,
  wrk: string,
  ways: readonly Way[],
): Promise<WayLatencyRow[]> {
  let least = Number.POSITIVE_INFINITY;
  for (const way of ways) {
    const { requests, durationMicros } = await saturate(wrk, way, [], 1);
    least = Math.min(least, requests / (durationMicros / 1e6));
  }
  const ratePerSecond = Math.round(least / 4);
  const reports = await eachWay<LoadReport>(bench, ways, async (way, round) => {
    const plan = {
      shape: "fixed-rate",
      host: way.host,
      port: way.port,
      path: "/",
      fields: [],
      ratePerSecond,
      connections: CONNECTIONS["fixed rate"],
      warmUpMs: LATENCY_WARM_UP_MS,
      durationMs: bench.options.seconds * 1_000,
    } as const;
    const report = await runLoad(plan, LOAD_CPU, way.inside);
    bench.say(`round ${round + 1}: ${way.name} p99 ${formatFigure(report.p99)} us`);
    return report;
  });
  return wayLatencyRows(ratePerSecond, reports);
}
