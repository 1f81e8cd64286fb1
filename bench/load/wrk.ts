import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BenchError } from "../bench-error.ts";

const run = promisify(execFile);
const REPORT_SCRIPT = fileURLToPath(new URL("./report.lua", import.meta.url));

/** What wrk does: as many requests as the connections carry, one after another on each. */
export interface WrkPlan {
  /** Path of the program. */
  readonly wrk: string;
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Fields that every request carries, as `name: value`. */
  readonly fields: readonly string[];
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

/** Runs wrk; fails if a single request failed, since figures of a broken path mean nothing. */
export async function runWrk(plan: WrkPlan): Promise<WrkReport> {
  const args = [
    ...["-t", "1", "-c", String(plan.connections), "-d", `${plan.seconds}s`],
    ...["-s", REPORT_SCRIPT],
    ...plan.fields.flatMap((field) => ["-H", field]),
    `http://127.0.0.1:${plan.port}/`,
  ];
  const { stdout } = await run("taskset", ["-c", String(plan.cpu), plan.wrk, ...args], {
    timeout: (plan.seconds + 15) * 1_000,
    killSignal: "SIGKILL",
  });
  const report = parseWrkReport(stdout);
  if (report.failed > 0 || report.requests === 0) {
    throw new BenchError(`${report.failed} of ${report.requests} requests failed: ${stdout}`);
  }
  return report;
}

/** Finds the JSON line of report.lua in wrk's output. */
export function parseWrkReport(stdout: string): WrkReport {
  const line = stdout.split("\n").find((each) => each.startsWith('{"requests"'));
  if (line === undefined) throw new BenchError(`wrk wrote no report: ${stdout}`);
  return JSON.parse(line) as WrkReport;
}
