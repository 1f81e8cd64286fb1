import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BenchError } from "../bench-error.ts";
import { capture, createHosts, INSIDE_LOAD, removeHosts, run } from "../intercept/hosts.ts";
import {
  AS_PROXY,
  INTERCEPTED_PORT,
  SERVICE_PORT,
  startIn,
  startService,
} from "../intercept/ways.ts";
import { interleave } from "../measure/interleave.ts";
import { columnsOf, renderTable } from "../measure/text-table.ts";
import { forklaneCommand } from "../peers/forklane/build.ts";
import type { Bench, Findings, Scenario } from "../scenario.ts";

/** Connections that go straight to the service when rules arrive. */
const CONNECTIONS = 64;
/** How long connections are given to end, and those that are waited for. */
const SWITCH_MS = 5_000;
const SHORT_SWITCH_MS = 1_000;
/** A connection without a byte for so long is taken for idle: half of what callers think at most. */
const IDLE_MS = 50;

/** The ways to get rid of them; none of them can tell a caller that its connection ends. */
const METHODS = ["wait", "reset at once", `reset when idle ${IDLE_MS} ms`] as const;
type Method = (typeof METHODS)[number];

/** What a switch-over came to. */
interface Switch {
  readonly requests: number;
  readonly failed: number;
  /** Connections that still go straight to the service at the end. */
  readonly left: number;
}

/** One method, all rounds together. */
export interface BypassRow extends Switch {
  readonly method: Method;
  readonly switches: number;
}

/** A host whose service is reached straight until rules arrive. */
interface Stage {
  readonly address: string;
  readonly inside: readonly string[];
  readonly command: string;
}

/** What it costs callers to move their connections from the service to its proxy. */
export const bypass: Scenario = {
  about: "requests lost when connections that pass the proxy by are moved to it; needs root",

  async run(bench: Bench): Promise<Findings> {
    process.once("exit", removeHosts);
    try {
      const stage = await startStage(bench);
      const switches = await interleave(METHODS, bench.options.rounds, async (name, round) => {
        const found = await switchOver(bench, stage, name as Method);
        bench.say(`round ${round + 1}: ${name}: ${found.failed} failed, ${found.left} left`);
        return found;
      });
      const rows = [...switches].map(([name, rounds]) => summarize(name as Method, rounds));
      return { text: renderRows(rows), rows, targets: [], versions: {} };
    } finally {
      await bench.children.stopAll();
      removeHosts();
      process.off("exit", removeHosts);
    }
  },
};

async function startStage(bench: Bench): Promise<Stage> {
  const host = createHosts(["taken"]).get("taken");
  if (host === undefined) throw new BenchError("a host is missing");
  const command = await forklaneCommand(null);
  const table = join(bench.folder, "table.json");
  await writeFile(table, '{"revision":1,"routes":{},"known":[]}');
  await startService(bench, host);
  startIn(bench, host, "proxy", [
    ...[...AS_PROXY, process.execPath, command, "proxy", "--intercept", "--table", table],
    ...["--workload", "bench/service", "--listen", `[::]:${INTERCEPTED_PORT}`],
  ]);
  const stage = { address: host.address, inside: host.inside, command };
  await untilListening(stage);
  return stage;
}

async function untilListening({ inside }: Stage): Promise<void> {
  for (const port of [SERVICE_PORT, INTERCEPTED_PORT]) {
    const end = performance.now() + SWITCH_MS * 4;
    while (capture([...inside, "ss", "-Hltn", `sport = :${port}`]) === "") {
      if (performance.now() > end) throw new BenchError(`nothing listens at port ${port}`);
      await sleep(50);
    }
  }
}

/** Callers talk to the service; rules arrive; the method; then callers end. */
async function switchOver(bench: Bench, stage: Stage, method: Method): Promise<Switch> {
  intercept(stage, ["--remove"]);
  const [program = "", ...args] = [...INSIDE_LOAD, process.execPath, TALK];
  const words = [...args, stage.address, String(SERVICE_PORT), String(CONNECTIONS)];
  const talkers = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    let output = "";
    talkers.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    while (!output.includes("talking")) await once(talkers.stdout, "data");
    intercept(stage, ["--inbound-ports", String(SERVICE_PORT)]);
    const end = performance.now() + (bench.options.short ? SHORT_SWITCH_MS : SWITCH_MS);
    if (method === "reset at once") reset(stage, () => true);
    while (performance.now() < end) {
      if (method === METHODS[2]) reset(stage, (idleMs) => idleMs >= IDLE_MS);
      await sleep(10);
    }
    const left = straight(stage).length;
    talkers.kill("SIGTERM");
    await once(talkers, "close");
    return { ...JSON.parse(output.slice(output.indexOf("{"))), left };
  } finally {
    talkers.kill("SIGKILL");
  }
}

const TALK = fileURLToPath(new URL("../intercept/talk-main.ts", import.meta.url));

function intercept({ inside, command }: Stage, flags: readonly string[]): void {
  run([...inside, process.execPath, command, "intercept", ...flags]);
}

interface Straight {
  readonly peer: string;
  readonly idleMs: number;
}

/** Connections of callers with the service itself: those of the proxy come from its own address. */
function straight({ inside, address }: Stage): Straight[] {
  const filter = ["state", "established", `( sport = :${SERVICE_PORT} )`];
  const lines = capture([...inside, "ss", "-HtniO", ...filter]).split("\n");
  return lines.flatMap((line) => {
    const peer = line.trim().split(/\s+/)[3] ?? "";
    if (peer === "" || peer.startsWith(`${address}:`)) return [];
    const since = ["lastsnd", "lastrcv"].map((name) => {
      return Number(new RegExp(`${name}:(\\d+)`).exec(line)?.[1] ?? 0);
    });
    return [{ peer, idleMs: Math.min(...since) }];
  });
}

/** Ends connections as the kernel can: by a reset (`SOCK_DESTROY`). */
function reset(stage: Stage, isToEnd: (idleMs: number) => boolean): void {
  const peers = straight(stage).filter(({ idleMs }) => isToEnd(idleMs));
  if (peers.length === 0) return;
  const those = peers.map(({ peer }) => `dst = ${peer}`).join(" or ");
  capture([...stage.inside, "ss", "-K", "-tn", `( sport = :${SERVICE_PORT} ) and ( ${those} )`]);
}

function summarize(method: Method, rounds: readonly Switch[]): BypassRow {
  const sum = (of: keyof Switch): number => rounds.reduce((all, each) => all + each[of], 0);
  return {
    method,
    switches: rounds.length,
    requests: sum("requests"),
    failed: sum("failed"),
    left: sum("left"),
  };
}

function renderRows(rows: readonly BypassRow[]): string {
  const columns = columnsOf(
    ["method"],
    ["switches", "connections", "requests", "failed", "still passing by"],
  );
  const cells = rows.map((row) => [
    row.method,
    ...[row.switches, row.switches * CONNECTIONS, row.requests, row.failed, row.left].map(String),
  ]);
  return renderTable(columns, cells);
}
