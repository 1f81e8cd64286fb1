import { join } from "node:path";
import { BenchError } from "../bench-error.ts";
import { LOAD_CPU, MEASURED_CPU, requireTwoLinuxCpus } from "../host/machine.ts";
import { freePort } from "../host/port.ts";
import { cpuGrowth, readCpuTime } from "../host/proc-stat.ts";
import { findProgram, programVersion } from "../host/program.ts";
import { runWrk } from "../load/wrk.ts";
import { interleave } from "../measure/interleave.ts";
import { median, spread } from "../measure/quantile.ts";
import { checkTarget, type Target } from "../measure/target.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import { checkJob } from "../peers/check-job.ts";
import { startForklane } from "../peers/forklane/start-forklane.ts";
import { forkTable } from "../peers/forklane/table.ts";
import { startHaproxy } from "../peers/haproxy/start-haproxy.ts";
import { startBackend, startNginx } from "../peers/nginx/start-nginx.ts";
import { benchKeys, type Job, type Peer } from "../peers/peer.ts";
import type { Bench, Findings, Scenario, Traffic } from "../scenario.ts";

/** Connections of the load, as in the method that the figures are compared by. */
const CONNECTIONS = 32;

/** Seconds of load before each measurement, so that connections and machine code are warm. */
const WARM_UP_SECONDS = 1;

/** What a Forklane may cost next to the better of nginx and HAProxy, and tagged next to untagged. */
const RATIO_TO_PEERS_MAX = 1.25;
const RATIO_TO_UNTAGGED_MAX = 1.2;

/** One measurement of one proxy under one traffic. */
interface Sample {
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly perSecond: number;
}

/** The rounds of one proxy under one traffic, summed up; microseconds of CPU per request. */
export interface CpuRow {
  readonly proxy: string;
  readonly traffic: Traffic;
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly totalMicros: number;
  /** How far the rounds lie apart, as a share of the median. */
  readonly spread: number;
  readonly perSecond: number;
}

/** CPU time per proxied request, next to nginx and HAProxy which do the same job. */
export const cpu: Scenario = {
  about: "microseconds of CPU per proxied request, next to nginx and HAProxy",

  async run(bench: Bench): Promise<Findings> {
    requireTwoLinuxCpus("cpu");
    const wrk = await findProgram("wrk");
    const keys = benchKeys(bench.options.sandboxes);
    const key = keys[Math.floor(keys.length / 2)] ?? "";
    const peers = await startAll(bench, keys);
    for (const peer of peers) await checkJob(peer, key);

    const { traffics } = bench.options;
    const names = peers.flatMap((peer) => traffics.map((traffic) => `${peer.name} ${traffic}`));
    const samples = await interleave(names, bench.options.rounds, async (name, round) => {
      const [peerName, traffic] = name.split(" ");
      const peer = peers.find((each) => each.name === peerName);
      if (peer === undefined) throw new BenchError(`no proxy ${peerName}`);
      const sample = await measure(bench, wrk, peer, traffic === "tagged" ? key : null);
      bench.say(`round ${round + 1}: ${name} ${formatFigure(totalOf(sample))} us`);
      return sample;
    });
    const rows = [...samples].map(([name, rounds]) => summarize(name, rounds));
    return {
      text: renderRows(rows),
      rows,
      targets: targetsOf(rows),
      versions: {
        nginx: await programVersion(await findProgram("nginx"), "-v"),
        haproxy: await programVersion(await findProgram("haproxy"), "-v"),
        wrk: await programVersion(wrk, "-v"),
      },
    };
  },
};

async function startAll(bench: Bench, keys: readonly string[]): Promise<Peer[]> {
  const ports = { baseline: await freePort(), fork: await freePort() };
  await startBackend(bench.children, join(bench.folder, "backend"), ports, LOAD_CPU);
  const jobOf = async (name: string): Promise<Job> => ({
    listenPort: await freePort(),
    baselinePort: ports.baseline,
    forkPort: ports.fork,
    keys,
    folder: join(bench.folder, name),
    cpu: MEASURED_CPU,
  });
  const nginx = await startNginx(bench.children, await jobOf("nginx"));
  const haproxy = await startHaproxy(bench.children, await jobOf("haproxy"));
  const job = await jobOf("forklane");
  const forklane = await startForklane(bench.children, {
    name: "forklane",
    workload: "bench/cpu",
    listenPort: job.listenPort,
    upstreamPort: job.baselinePort,
    table: forkTable(keys, job.forkPort),
    folder: job.folder,
    cpu: job.cpu,
    accessLog: bench.options.accessLog,
    profileFolder: bench.options.profileFolder,
  });
  return [nginx, haproxy, forklane];
}

async function measure(bench: Bench, wrk: string, peer: Peer, key: string | null): Promise<Sample> {
  const plan = {
    wrk,
    port: peer.port,
    connections: CONNECTIONS,
    fields: key === null ? [] : [`baggage: sandbox=${key}`],
    cpu: LOAD_CPU,
  };
  await runWrk({ ...plan, seconds: WARM_UP_SECONDS });
  const before = await readCpuTime(peer.child.pid);
  const report = await runWrk({ ...plan, seconds: bench.options.seconds });
  const used = cpuGrowth(before, await readCpuTime(peer.child.pid));
  return {
    userMicros: used.userMicros / report.requests,
    systemMicros: used.systemMicros / report.requests,
    perSecond: report.requests / (report.durationMicros / 1e6),
  };
}

function summarize(name: string, rounds: readonly Sample[]): CpuRow {
  const [proxy = "", traffic] = name.split(" ");
  const totals = rounds.map(totalOf);
  return {
    proxy,
    traffic: traffic === "tagged" ? "tagged" : "untagged",
    userMicros: median(rounds.map((round) => round.userMicros)),
    systemMicros: median(rounds.map((round) => round.systemMicros)),
    totalMicros: median(totals),
    spread: spread(totals),
    perSecond: median(rounds.map((round) => round.perSecond)),
  };
}

function totalOf(sample: Sample): number {
  return sample.userMicros + sample.systemMicros;
}

/** The cheaper of the other proxies under the same traffic. */
export function betterPeer(rows: readonly CpuRow[], traffic: Traffic): CpuRow {
  const peers = rows.filter((row) => row.traffic === traffic && row.proxy !== "forklane");
  const [first, ...others] = peers;
  if (first === undefined) throw new BenchError("no peer was measured");
  return others.reduce((best, row) => (row.totalMicros < best.totalMicros ? row : best), first);
}

function targetsOf(rows: readonly CpuRow[]): Target[] {
  const own = rows.filter((row) => row.proxy === "forklane");
  const toPeers = own.map((row) => {
    const ratio = row.totalMicros / betterPeer(rows, row.traffic).totalMicros;
    return checkTarget(`${row.traffic}, to the better peer`, ratio, RATIO_TO_PEERS_MAX, "x");
  });
  const [untagged, tagged] = own;
  if (untagged === undefined || tagged === undefined) return toPeers;
  const ratio = tagged.totalMicros / untagged.totalMicros;
  return [...toPeers, checkTarget("tagged to untagged", ratio, RATIO_TO_UNTAGGED_MAX, "x")];
}

function renderRows(rows: readonly CpuRow[]): string {
  const columns = columnsOf(
    ["proxy", "traffic"],
    ["user us", "system us", "total us", "+/-", "to better peer", "requests/s"],
  );
  const cells = rows.map((row) => [
    row.proxy,
    row.traffic,
    formatFigure(row.userMicros),
    formatFigure(row.systemMicros),
    formatFigure(row.totalMicros),
    `${(row.spread * 50).toFixed(0)}%`,
    `${formatFigure(row.totalMicros / betterPeer(rows, row.traffic).totalMicros)} x`,
    row.perSecond.toFixed(0),
  ]);
  return renderTable(columns, cells);
}
