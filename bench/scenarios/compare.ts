import { BenchError } from "../bench-error.ts";
import type { Case } from "../compare/case.ts";
import { comparedCases, FULL_SIZES, SHORT_SIZES } from "../compare/cases.ts";
import { type Contender, findContenders, PROGRAMS } from "../compare/contender.ts";
import { type CpuRow, cpuRows, renderCpuRows } from "../compare/cpu-rows.ts";
import { DIRECT, type LatencyRow, renderLatencyRows } from "../compare/latency-rows.ts";
import { type CpuSample, measureCpu, type WarmUp } from "../compare/measure-cpu.ts";
import { measureLatency } from "../compare/measure-latency.ts";
import {
  type MemoryRow,
  measureAfterLoad,
  measureFresh,
  renderMemoryRows,
} from "../compare/measure-memory.ts";
import { plotCpu } from "../compare/plot.ts";
import { type Proxies, startProxies, takesPart } from "../compare/proxies.ts";
import { type ComparedRows, compareTargets } from "../compare/targets.ts";
import { describeMachine, requireTwoLinuxCpus } from "../host/machine.ts";
import { findProgram, programVersion } from "../host/program.ts";
import { rotate } from "../measure/interleave.ts";
import { formatFigure } from "../measure/text-table.ts";
import { findEnvoy } from "../peers/envoy/start-envoy.ts";
import type { Bench, Findings, Scenario } from "../scenario.ts";

/** Load before a measurement, so that connections are open. */
const WARM_UP: WarmUp = { requests: 0, secondsMax: 1 };

/**
 * The same before the first of a runtime: until its machine code is made. Before that a Forklane costs
 * double and more, on a slow machine for ten seconds.
 */
const COLD_WARM_UP: WarmUp = { requests: 100_000, secondsMax: 12 };

/** One run: who is compared. */
interface Run {
  readonly bench: Bench;
  readonly wrk: string;
  readonly contenders: readonly Contender[];
}

/** The cases of a run that are measured while these proxies are there. */
interface Comparison extends Run {
  readonly cases: readonly Case[];
  readonly proxies: Proxies;
}

/** What a request costs, next to nginx, HAProxy and Envoy which do the same job. */
export const compare: Scenario = {
  about: "CPU per request, latency and memory, next to nginx, HAProxy and Envoy",
  effort: { rounds: 7, seconds: 1 },

  async run(bench: Bench): Promise<Findings> {
    requireTwoLinuxCpus("compare");
    const cases = chosenCases(bench);
    const wrk = await findProgram("wrk");
    const contenders = await findContenders(bench.options.compare);
    const run = { bench, wrk, contenders };
    const saturating = cases.filter(({ kind }) => kind !== "latency");
    const { cpu, memory } = await withProxies(run, saturating, async (comparison) => {
      const fresh = await measureAllFresh(comparison);
      const cpu = await measureAllCpu(comparison);
      return { cpu, memory: [...fresh, ...(await measureAllAfterLoad(comparison))] };
    });
    const fixed = cases.filter(({ kind }) => kind === "latency");
    const latency = await withProxies(run, fixed, measureAllLatencies);
    return toFindings(run, { cpu, latency, memory });
  },
};

/**
 * Measures some cases with the proxies that they need, and no others: each that stands idle on the same
 * CPU wakes up now and then, which a 99th percentile shows.
 */
async function withProxies<T>(
  run: Run,
  cases: readonly Case[],
  measure: (comparison: Comparison) => Promise<T>,
): Promise<T> {
  const proxies = await startProxies(run.bench, run.contenders, cases);
  const measured = await measure({ ...run, cases, proxies });
  await run.bench.children.stopAll();
  return measured;
}

function chosenCases(bench: Bench): Case[] {
  const { short, sandboxes, compare: asked } = bench.options;
  const all = comparedCases({ sandboxes, ...(short ? SHORT_SIZES : FULL_SIZES) });
  const { only } = asked;
  if (only === null) return all;
  const unknown = only.find((name) => !all.some((each) => each.name === name));
  if (unknown === undefined) return all.filter((each) => only.includes(each.name));
  throw new BenchError(`no case ${unknown}; there are ${all.map((each) => each.name).join(", ")}`);
}

/** A round measures every case, and each case all proxies one after the other. */
async function measureAllCpu(comparison: Comparison): Promise<CpuRow[]> {
  const { cases, contenders, bench } = comparison;
  const measured = cases.filter(({ kind }) => kind === "cpu");
  const samples = new Map(measured.map((each) => [each.name, new Map<string, CpuSample[]>()]));
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const each of measured) {
      const ofCase = samples.get(each.name);
      const those = contenders.filter((contender) => takesPart(contender, each));
      for (const contender of rotate(those, round)) {
        const sample = await measureOne(comparison, contender, each, round);
        ofCase?.set(contender.name, [...(ofCase.get(contender.name) ?? []), sample]);
      }
    }
  }
  return measured.flatMap((each) => cpuRows(each, contenders, samples.get(each.name) ?? new Map()));
}

async function measureOne(
  { bench, wrk, proxies }: Comparison,
  contender: Contender,
  each: Case,
  round: number,
): Promise<CpuSample> {
  const { seconds, short } = bench.options;
  const what = `round ${round + 1}: ${each.name} ${contender.name}`;
  // The others are as fast with their first request as with any.
  const isCold = round === 0 && contender.program === "forklane";
  try {
    const peer = proxies.of(contender, each.setup);
    const warmUp = isCold ? COLD_WARM_UP : WARM_UP;
    const sample = await measureCpu({ wrk, seconds }, short ? null : warmUp, peer, each);
    bench.say(`${what} ${formatFigure(sample.userMicros + sample.systemMicros)} us`);
    return sample;
  } catch (cause) {
    if (!(cause instanceof BenchError)) throw cause;
    throw new BenchError(`${what}: ${cause.message}`, { cause });
  }
}

async function measureAllLatencies(comparison: Comparison): Promise<LatencyRow[]> {
  const { bench, wrk, cases, contenders, proxies } = comparison;
  const rows: LatencyRow[] = [];
  for (const each of cases.filter(({ kind }) => kind === "latency")) {
    const ports = contenders.map((contender) => {
      return [contender.name, proxies.of(contender, each.setup).port] as const;
    });
    const ways = new Map([[DIRECT, proxies.directPort], ...ports]);
    rows.push(...(await measureLatency(bench, wrk, each, ways)));
  }
  return rows;
}

function measureAllFresh({ cases, contenders, proxies }: Comparison): Promise<MemoryRow[]> {
  return oneByOne(cases, contenders, (each, contender) => {
    return measureFresh(proxies.of(contender, each.setup), each, contender.name);
  });
}

function measureAllAfterLoad(comparison: Comparison): Promise<MemoryRow[]> {
  const { bench, wrk, cases, contenders, proxies } = comparison;
  const load = { wrk, seconds: bench.options.seconds };
  return oneByOne(cases, contenders, (each, contender) => {
    return measureAfterLoad(load, proxies.of(contender, each.setup), each, contender.name);
  });
}

async function oneByOne(
  cases: readonly Case[],
  contenders: readonly Contender[],
  measure: (each: Case, contender: Contender) => Promise<MemoryRow>,
): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = [];
  for (const each of cases.filter(({ kind }) => kind === "memory")) {
    for (const contender of contenders) rows.push(await measure(each, contender));
  }
  return rows;
}

async function toFindings(run: Run, rows: ComparedRows): Promise<Findings> {
  const versions = await versionsOf(run);
  const { cpu, latency, memory } = rows;
  const tables = [renderCpuRows(cpu), renderLatencyRows(latency), renderMemoryRows(memory)];
  return {
    text: tables.filter((table) => table !== "").join("\n\n"),
    rows: [...cpu, ...latency, ...memory],
    targets: compareTargets(rows),
    versions,
    ...(isWhole(run) ? { plot: plotCpu(cpu, captionOf(run, versions)) } : {}),
  };
}

async function versionsOf({ wrk, contenders }: Run): Promise<Record<string, string>> {
  const versions: Record<string, string> = { wrk: await programVersion(wrk, "-v") };
  for (const { program } of contenders) {
    if (program === "envoy")
      versions[program] = await programVersion(await findEnvoy(), "--version");
    else if (program !== "forklane") {
      versions[program] = await programVersion(await findProgram(program), "-v");
    }
  }
  return versions;
}

/** Only a whole run makes the picture: one without a case or a peer would replace it by less. */
function isWhole({ bench, contenders }: Run): boolean {
  return bench.options.compare.only === null && contenders.length === PROGRAMS.length;
}

function captionOf({ bench }: Run, versions: Readonly<Record<string, string>>): string {
  const { cpu, node } = describeMachine();
  const peers = ["nginx", "haproxy", "envoy"].map((name) => `${name} ${versions[name]}`);
  const { rounds, sandboxes } = bench.options;
  return `${cpu}, Node ${node}, ${peers.join(", ")}; ${sandboxes} sandboxes, median of ${rounds}`;
}
