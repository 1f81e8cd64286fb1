import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../host/port.ts";
import { type Quantiles, quantilesOf } from "../measure/quantile.ts";
import { checkTarget } from "../measure/target.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import { forklaneCommand } from "../peers/forklane/build.ts";
import { putSandbox, startControl } from "../peers/forklane/start-control.ts";
import { benchKeys } from "../peers/peer.ts";
import type { Bench, Findings, Scenario } from "../scenario.ts";
import { Watchers } from "../watchers/watchers.ts";

const PROXIES = 50;
const THREADS = 4;
const WORKLOADS = ["cart", "frontend", "inventory", "loyalty", "pricing"].map(
  (name) => `shop/${name}`,
);
const PUTS = 200;
const SHORT_PUTS = 10;

/** Between two writes: longer than control gathers news of keys alone, which is 100 ms. */
const PAUSE_MS = 150;

/** How long a write may take to arrive before the run is given up. */
const ARRIVAL_DEADLINE_MS = 10_000;

/** From the return of the PUT to the last of all proxies, 99th percentile, in milliseconds. */
const P99_MS_MAX = 50;

/** Milliseconds of one PUT: its own time, then until the last proxy had it (0: before it returned). */
interface Sample {
  readonly putMs: number;
  readonly concernedMs: number;
  readonly allMs: number;
}

/** One figure of the run, in milliseconds. */
export interface PropagationRow extends Quantiles {
  readonly what: string;
}

/** How soon a write of the API is in effect at 50 proxies. */
export const propagation: Scenario = {
  about: `from the return of a PUT to the last of ${PROXIES} proxies having applied it`,

  async run(bench: Bench): Promise<Findings> {
    const keys = benchKeys(bench.options.short ? SHORT_PUTS : PUTS);
    const fork = await listenAsFork();
    const { folder, children, options } = bench;
    const control = await startControl(children, {
      command: await forklaneCommand(null),
      folder,
      cpu: null,
      profileFolder: options.profileFolder,
    });
    const watchers = await startWatchers(control, keys);
    try {
      const samples: Sample[] = [];
      for (const [i, key] of keys.entries()) {
        const workload = WORKLOADS[i % WORKLOADS.length] ?? "";
        samples.push(
          await measure(watchers, key, workload, () =>
            putSandbox(control, key, workload, fork.port),
          ),
        );
        if (samples.length % 50 === 0) bench.say(`${samples.length} of ${keys.length} writes`);
        await sleep(PAUSE_MS);
      }
      return toFindings(samples);
    } finally {
      await watchers.stop();
      fork.server.close();
    }
  },
};

/** The endpoint of every fork: proxies only look whether it accepts. */
async function listenAsFork(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => socket.on("error", () => {}).end());
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { server, port };
}

function startWatchers(control: string, keys: readonly string[]): Promise<Watchers> {
  const workloads = Array.from(
    { length: PROXIES },
    (_, i) => WORKLOADS[i % WORKLOADS.length] ?? "",
  );
  return Watchers.start({ control, workloads, instancePrefix: "bench", keys }, THREADS);
}

async function measure(
  watchers: Watchers,
  key: string,
  workload: string,
  put: () => Promise<void>,
): Promise<Sample> {
  const startNs = process.hrtime.bigint();
  await put();
  const returnNs = process.hrtime.bigint();
  const arrivals = await watchers.arrivalsOf(key, workload, ARRIVAL_DEADLINE_MS);
  return {
    putMs: toMs(returnNs - startNs),
    concernedMs: Math.max(0, toMs(arrivals.concernedNs - returnNs)),
    allMs: Math.max(0, toMs(arrivals.allNs - returnNs)),
  };
}

function toMs(ns: bigint): number {
  return Number(ns) / 1e6;
}

function toFindings(samples: readonly Sample[]): Findings {
  const row = (what: string, of: keyof Sample): PropagationRow => {
    return { what, ...quantilesOf(samples.map((sample) => sample[of])) };
  };
  const all = row("return to last proxy, all", "allMs");
  const rows = [
    row("PUT itself", "putMs"),
    row("return to last proxy, concerned", "concernedMs"),
    all,
  ];
  const target = checkTarget(`last of ${PROXIES} proxies, p99`, all.p99, P99_MS_MAX, "ms");
  return { text: renderRows(rows), rows, targets: [target], versions: {} };
}

function renderRows(rows: readonly PropagationRow[]): string {
  const columns = columnsOf(["milliseconds"], ["writes", "p50", "p90", "p99", "max"]);
  const cells = rows.map((row) => [
    row.what,
    String(row.count),
    ...[row.p50, row.p90, row.p99, row.max].map(formatFigure),
  ]);
  return renderTable(columns, cells);
}
