import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BenchError } from "../bench-error.ts";
import type { RequestShape } from "../compare/case.ts";

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL("./requests.lua", import.meta.url));

/** What wrk does: as many requests as the connections carry, one after another on each. */
export interface WrkPlan {
  /** Path of the program. */
  readonly wrk: string;
  /** Where the port is; 127.0.0.1 where absent. */
  readonly host?: string;
  /** What stands before the command, to run it on another host. */
  readonly inside?: readonly string[];
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly request: RequestShape;
  readonly cpu: number;
}

/** What wrk says at its end. Its latencies are of a closed loop: for orientation only. */
export interface WrkReport {
  readonly requests: number;
  readonly durationMicros: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

/** A second without one answer happens to a load that got no CPU; three in a row do not. */
const TRIES = 3;

/** Runs wrk; fails if a single request failed, since figures of a broken path mean nothing. */
export async function runWrk(plan: WrkPlan): Promise<WrkReport> {
  for (let i = 0; i < TRIES; i++) {
    const stdout = await runOnce(plan);
    const report = parseWrkReport(stdout);
    if (report.failed > 0) {
      throw new BenchError(
        `${report.failed} requests failed, ${report.requests} did not: ${stdout}`,
      );
    }
    if (report.requests > 0) return report;
  }
  throw new BenchError(`no request was answered in ${TRIES} x ${plan.seconds} s`);
}

async function runOnce(plan: WrkPlan): Promise<string> {
  const { method, path, bodyBytes, fields, baggage } = plan.request;
  const args = [
    ...["-t", "1", "-c", String(plan.connections), "-d", `${plan.seconds}s`],
    ...["-s", SCRIPT],
    ...fields.flatMap((field) => ["-H", field]),
    `http://${plan.host ?? "127.0.0.1"}:${plan.port}${path}`,
    ...["--", method, String(bodyBytes), ...numbersOf(baggage)],
  ];
  const command = [...(plan.inside ?? []), plan.wrk, ...args];
  const { stdout } = await run("taskset", ["-c", String(plan.cpu), ...command], {
    timeout: (plan.seconds + 15) * 1_000,
    killSignal: "SIGKILL",
  });
  return stdout;
}

function numbersOf(baggage: RequestShape["baggage"]): string[] {
  if (baggage === null) return [];
  return baggage.count === null ? [baggage.prefix] : [baggage.prefix, String(baggage.count)];
}

/** Finds the JSON line of requests.lua in wrk's output. */
export function parseWrkReport(stdout: string): WrkReport {
  const line = stdout.split("\n").find((each) => each.startsWith('{"requests"'));
  if (line === undefined) throw new BenchError(`wrk wrote no report: ${stdout}`);
  return JSON.parse(line) as WrkReport;
}
