import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Machine } from "../host/machine.ts";
import type { Target } from "./target.ts";

/** What one run leaves: enough to know what was measured, on what, and with which programs. */
export interface RunResult {
  readonly scenario: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly machine: Machine;
  /** Program to version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly rows: readonly object[];
  readonly targets: readonly Target[];
}

/** Writes the result as JSON into the folder and answers the path. */
export async function writeResult(folder: string, result: RunResult): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, resultFileName(result));
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
}

/** Writes the picture of the last run, which a README may show, and answers the path. */
export async function writePlot(folder: string, scenario: string, svg: string): Promise<string> {
  const path = join(folder, `${scenario}.svg`);
  await writeFile(path, svg);
  return path;
}

/** `chain-20260131-235959.json`: sorts by scenario, then by time. */
export function resultFileName(result: Pick<RunResult, "scenario" | "date">): string {
  const time = result.date.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  return `${result.scenario}-${time}.json`;
}
