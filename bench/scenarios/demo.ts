import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BenchError } from "../bench-error.ts";
import type { Child } from "../host/child.ts";
import { freePort } from "../host/port.ts";
import { type AutocannonReport, runAutocannon } from "../load/autocannon.ts";
import { interleave } from "../measure/interleave.ts";
import { median } from "../measure/quantile.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import type { Bench, Findings, Scenario } from "../scenario.ts";

const COMMAND = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** The sandbox that the demo makes, and what a request says to be in it, strictly. */
const KEY = "jane-42";

const CONNECTIONS = 10;

/** The demo says itself that it is up in 20 s on any machine. */
const START_DEADLINE_MS = 30_000;
const POLL_MS = 100;

/** Traffic of the demo's edge: what a request carries. */
const TRAFFICS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  untagged: {},
  "control arm": { "forklane-key": `${KEY}.base!` },
  tagged: { "forklane-key": `${KEY}!` },
};

/** The rounds of one traffic, summed up. */
export interface DemoRow extends AutocannonReport {
  readonly traffic: string;
}

/** The demo's whole chain, with control, records and all, under a closed loop of autocannon. */
export const demo: Scenario = {
  about: "requests through the demo's edge and services (autocannon)",

  async run(bench: Bench): Promise<Findings> {
    const edge = await startDemo(bench);
    const names = Object.keys(TRAFFICS);
    const reports = await interleave(names, bench.options.rounds, async (name, round) => {
      const headers = TRAFFICS[name] ?? {};
      const report = await runAutocannon(edge, headers, CONNECTIONS, bench.options.seconds);
      bench.say(`round ${round + 1}: ${name} ${report.perSecond.toFixed(0)} requests/s`);
      return report;
    });
    const rows = [...reports].map(([traffic, rounds]) => summarize(traffic, rounds));
    return { text: renderRows(rows), rows, targets: [], versions: {} };
  },
};

async function startDemo(bench: Bench): Promise<string> {
  const portBase = await freePortBase();
  const data = join(bench.folder, "demo.db");
  const child = bench.children.start({
    name: "demo",
    program: process.execPath,
    args: [COMMAND, "start", "--port-base", String(portBase), "--data", data],
    cpu: null,
  });
  const edge = `http://127.0.0.1:${portBase + 1}/checkout`;
  bench.say("starting the demo");
  await untilServed(edge, child);
  return edge;
}

/** The demo takes a row of ports; below the range from which the kernel picks they stay free. */
async function freePortBase(): Promise<number> {
  const picked = await freePort();
  return 10_000 + (picked % 10_000);
}

/** Waits until a strictly tagged request is answered: every proxy then knows the sandbox. */
async function untilServed(edge: string, child: Child): Promise<void> {
  const end = performance.now() + START_DEADLINE_MS;
  while (performance.now() < end) {
    const status = await askOnce(edge);
    if (status === 200) return;
    const reason = child.endReason();
    if (reason !== null) throw new BenchError(reason);
    await sleep(POLL_MS);
  }
  throw new BenchError(`the demo did not answer at ${edge} in ${START_DEADLINE_MS} ms`);
}

async function askOnce(edge: string): Promise<number> {
  const headers = TRAFFICS["tagged"] ?? {};
  const answer = await fetch(edge, { headers, signal: AbortSignal.timeout(2_000) }).catch(
    () => null,
  );
  await answer?.arrayBuffer();
  return answer?.status ?? 0;
}

function summarize(traffic: string, rounds: readonly AutocannonReport[]): DemoRow {
  return {
    traffic,
    perSecond: median(rounds.map((round) => round.perSecond)),
    p50: median(rounds.map((round) => round.p50)),
    p99: median(rounds.map((round) => round.p99)),
  };
}

function renderRows(rows: readonly DemoRow[]): string {
  const columns = columnsOf(["traffic"], ["requests/s", "p50 ms", "p99 ms"]);
  const cells = rows.map((row) => [
    row.traffic,
    row.perSecond.toFixed(0),
    formatFigure(row.p50),
    formatFigure(row.p99),
  ]);
  return renderTable(columns, cells);
}
