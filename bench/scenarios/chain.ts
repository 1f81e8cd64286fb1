import { join } from "node:path";
import { LOAD_CPU, MEASURED_CPU, requireTwoLinuxCpus } from "../host/machine.ts";
import { freePort } from "../host/port.ts";
import { findProgram, programVersion } from "../host/program.ts";
import type { LoadPlan, LoadReport } from "../load/load-plan.ts";
import { runLoad } from "../load/run-load.ts";
import { interleave } from "../measure/interleave.ts";
import { median } from "../measure/quantile.ts";
import { checkTarget, type Target } from "../measure/target.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import { checkJob } from "../peers/check-job.ts";
import { forklaneCommand } from "../peers/forklane/build.ts";
import { startForklane } from "../peers/forklane/start-forklane.ts";
import { forkTable, knownTable } from "../peers/forklane/table.ts";
import { startHaproxy } from "../peers/haproxy/start-haproxy.ts";
import { startBackend, startNginx } from "../peers/nginx/start-nginx.ts";
import { benchKeys, type Job, type Peer } from "../peers/peer.ts";
import type { Bench, Findings, Scenario, Traffic } from "../scenario.ts";

const HOPS = 4;

/** What the chain may add with one connection, at the median, in microseconds. */
const ADDED_MICROS_MAX = 1_500;

/** What a hop of ours may add next to a hop of HAProxy. */
const RATIO_PER_HOP_MAX = 1.25;

/** Connections of each load: as many as it needs to saturate, and more than a fixed rate keeps busy. */
const CONNECTIONS = { one: 1, saturating: 32, "fixed rate": 128 } as const;
type Load = keyof typeof CONNECTIONS;

/** Each path has this long to become warm: machine code is made after some thousand requests. */
const WARM_UP_MS = 4_000;

/** What else runs on the machine only ever lowers what is found. */
const SATURATION_TRIES = 3;

const DIRECT = "direct";
const HAPROXY = "haproxy x1";
const NGINX = "nginx x1";
const CHAIN = `forklane x${HOPS}`;

/** The ways to the backend, by name: the port to ask. */
type Paths = ReadonlyMap<string, number>;

/** One kind of load on all paths. */
interface Phase {
  readonly traffic: Traffic;
  readonly load: Load;
  /** Requests a second; 0 where each follows the answer of the one before. */
  readonly ratePerSecond: number;
}

/** What a path takes, and what it adds to the way without a proxy, in microseconds. */
export interface ChainRow extends Phase {
  readonly path: string;
  readonly p50: number;
  readonly p99: number;
  readonly addedP50: number;
  readonly addedP99: number;
  /** How late requests left, 99th percentile: the resolution of p99. */
  readonly lateP99: number;
}

/** Latency that a chain of proxies adds, next to one hop of HAProxy and of nginx. */
export const chain: Scenario = {
  about: `latency that ${HOPS} hops add, next to one hop of HAProxy and nginx`,

  async run(bench: Bench): Promise<Findings> {
    requireTwoLinuxCpus("chain");
    const paths = await startAll(bench);
    const rows: ChainRow[] = [];
    for (const traffic of bench.options.traffics) {
      await warmUp(bench, paths, traffic);
      rows.push(...(await measureAll(bench, paths, { traffic, load: "one", ratePerSecond: 0 })));
      const ratePerSecond = Math.round((await findSaturation(bench, paths, traffic)) / 2);
      bench.say(`${CHAIN} ${traffic}: half of saturation is ${ratePerSecond} requests/s`);
      const phase: Phase = { traffic, load: "fixed rate", ratePerSecond };
      rows.push(...(await measureAll(bench, paths, phase)));
    }
    return {
      text: renderRows(rows),
      rows,
      targets: bench.options.traffics.flatMap((traffic) => targetsOf(rows, traffic)),
      versions: {
        nginx: await programVersion(await findProgram("nginx"), "-v"),
        haproxy: await programVersion(await findProgram("haproxy"), "-v"),
      },
    };
  },
};

async function startAll(bench: Bench): Promise<Paths> {
  const ports = { baseline: await freePort(), fork: await freePort() };
  await startBackend(bench.children, join(bench.folder, "backend"), ports, LOAD_CPU);
  const jobOf = async (name: string): Promise<Job> => ({
    listenPort: await freePort(),
    baselinePort: ports.baseline,
    forkPort: ports.fork,
    keys: benchKeys(bench.options.sandboxes),
    composed: false,
    folder: join(bench.folder, name),
    cpu: MEASURED_CPU,
  });
  const haproxy = await startHaproxy(bench.children, await jobOf("haproxy"));
  const nginx = await startNginx(bench.children, await jobOf("nginx"));
  const first = await startChain(bench, await jobOf("forklane"));
  for (const peer of [haproxy, nginx, first]) await checkJob(peer, taggedKey(bench));
  return new Map([
    [DIRECT, ports.baseline],
    [HAPROXY, haproxy.port],
    [NGINX, nginx.port],
    [CHAIN, first.port],
  ]);
}

/** Starts the hops from the last to the first, each in front of the one before; answers the first. */
async function startChain(bench: Bench, job: Job): Promise<Peer> {
  let upstreamPort = job.baselinePort;
  let table = forkTable(job.keys, job.forkPort);
  const command = await forklaneCommand(null);
  for (let hop = HOPS; ; hop--) {
    const peer = await startForklane(bench.children, {
      command,
      name: `hop${hop}`,
      workload: `bench/hop${hop}`,
      listenPort: await freePort(),
      upstreamPort,
      table,
      folder: job.folder,
      cpu: job.cpu,
      accessLog: bench.options.accessLog,
      profileFolder: bench.options.profileFolder,
    });
    if (hop === 1) return peer;
    upstreamPort = peer.port;
    table = knownTable(job.keys);
  }
}

function taggedKey(bench: Bench): string {
  return benchKeys(bench.options.sandboxes).at(-1) ?? "";
}

async function warmUp(bench: Bench, paths: Paths, traffic: Traffic): Promise<void> {
  const phase: Phase = { traffic, load: "saturating", ratePerSecond: 0 };
  for (const port of paths.values()) {
    const durationMs = bench.options.short ? 500 : WARM_UP_MS;
    await runLoad({ ...planOf(bench, port, phase), durationMs }, LOAD_CPU);
  }
}

/** Requests a second that the chain takes at most: the best of a few tries. */
async function findSaturation(bench: Bench, paths: Paths, traffic: Traffic): Promise<number> {
  const phase: Phase = { traffic, load: "saturating", ratePerSecond: 0 };
  const plan = planOf(bench, paths.get(CHAIN) ?? 0, phase);
  let most = 0;
  for (let i = 0; i < (bench.options.short ? 1 : SATURATION_TRIES); i++) {
    const report = await runLoad(plan, LOAD_CPU);
    most = Math.max(most, report.requests / (plan.durationMs / 1_000));
  }
  return most;
}

async function measureAll(bench: Bench, paths: Paths, phase: Phase): Promise<ChainRow[]> {
  const names = [...paths.keys()];
  const reports = await interleave(names, bench.options.rounds, async (name, round) => {
    const report = await runLoad(planOf(bench, paths.get(name) ?? 0, phase), LOAD_CPU);
    const { traffic, load } = phase;
    bench.say(`round ${round + 1}: ${traffic}, ${load}, ${name}: ${formatFigure(report.p50)} us`);
    return report;
  });
  const direct = reports.get(DIRECT) ?? [];
  return [...reports].map(([path, rounds]) => summarize(path, phase, rounds, direct));
}

function planOf(bench: Bench, port: number, phase: Phase): LoadPlan {
  return {
    shape: phase.ratePerSecond > 0 ? "fixed-rate" : "back-to-back",
    port,
    path: "/",
    fields: phase.traffic === "tagged" ? [["baggage", `sandbox=${taggedKey(bench)}`]] : [],
    ratePerSecond: phase.ratePerSecond,
    connections: CONNECTIONS[phase.load],
    warmUpMs: bench.options.short ? 200 : 1_000,
    durationMs: bench.options.seconds * 1_000,
  };
}

/** Medians over the rounds; what is added is taken against the direct way of the same round. */
export function summarize(
  path: string,
  phase: Phase,
  rounds: readonly LoadReport[],
  direct: readonly LoadReport[],
): ChainRow {
  const added = (of: "p50" | "p99"): number =>
    median(rounds.map((round, i) => round[of] - (direct[i]?.[of] ?? Number.NaN)));
  return {
    ...phase,
    path,
    p50: median(rounds.map((round) => round.p50)),
    p99: median(rounds.map((round) => round.p99)),
    addedP50: added("p50"),
    addedP99: added("p99"),
    lateP99: median(rounds.map((round) => round.lateP99)),
  };
}

function targetsOf(rows: readonly ChainRow[], traffic: Traffic): Target[] {
  const row = (path: string, load: Load): ChainRow | undefined =>
    rows.find((each) => each.path === path && each.load === load && each.traffic === traffic);
  const single = row(CHAIN, "one")?.addedP50 ?? Number.NaN;
  const loaded = row(CHAIN, "fixed rate");
  const hop = row(HAPROXY, "fixed rate");
  const toHop = (of: "addedP50" | "addedP99"): number =>
    (loaded?.[of] ?? Number.NaN) / (hop?.[of] ?? Number.NaN);
  const atMost = HOPS * RATIO_PER_HOP_MAX;
  const what = `${CHAIN}, ${traffic}`;
  return [
    checkTarget(`${what}, one connection: added p50`, single, ADDED_MICROS_MAX, "us"),
    checkTarget(`${what}, half load: added p50 to ${HAPROXY}`, toHop("addedP50"), atMost, "x"),
    checkTarget(`${what}, half load: added p99 to ${HAPROXY}`, toHop("addedP99"), atMost, "x"),
  ];
}

function renderRows(rows: readonly ChainRow[]): string {
  const columns = columnsOf(
    ["traffic", "load", "path"],
    ["p50 us", "p99 us", "added p50", "added p99", "late p99"],
  );
  const cells = rows.map((row) => [
    row.traffic,
    row.ratePerSecond === 0 ? "1 connection" : `${row.ratePerSecond}/s`,
    row.path,
    ...[row.p50, row.p99, row.addedP50, row.addedP99, row.lateP99].map(formatFigure),
  ]);
  return renderTable(columns, cells);
}
