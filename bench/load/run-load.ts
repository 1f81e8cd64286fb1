import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BenchError } from "../bench-error.ts";
import type { LoadPlan, LoadReport } from "./load-plan.ts";

const run = promisify(execFile);
const LOAD_MAIN = fileURLToPath(new URL("./load-main.ts", import.meta.url));

/**
 * Runs the plan in a process of its own, on one CPU where `cpu` names one (Linux only); `inside` stands
 * before the command, to run it on another host.
 */
export async function runLoad(
  plan: LoadPlan,
  cpu: number | null,
  inside: readonly string[] = [],
): Promise<LoadReport> {
  const placed = process.platform === "linux" ? placement(plan, cpu) : [];
  const command = [...placed, ...inside, process.execPath, LOAD_MAIN, JSON.stringify(plan)];
  const [program = "", ...args] = command;
  const { stdout } = await run(program, args, {
    timeout: plan.warmUpMs + plan.durationMs + 15_000,
    killSignal: "SIGKILL",
  }).catch((cause: { stderr?: string }) => {
    throw new BenchError(`the load failed: ${lastLine(cause.stderr ?? "")}`, { cause });
  });
  return JSON.parse(stdout) as LoadReport;
}

/**
 * A load at a fixed rate spins, so it runs only when nobody else wants its CPU (SCHED_IDLE):
 * beside a backend of the same priority it was measured to add 3 ms to the 99th percentile.
 */
function placement(plan: LoadPlan, cpu: number | null): string[] {
  const pin = cpu === null ? [] : ["taskset", "-c", String(cpu)];
  return plan.shape === "fixed-rate" ? [...pin, "chrt", "-i", "0"] : pin;
}

function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.includes("Error"));
  return lines[0]?.trim() ?? "it was killed at its deadline";
}
