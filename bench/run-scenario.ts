import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Children } from "./host/child.ts";
import { busyWarning, type Machine } from "./host/machine.ts";
import type { RunResult } from "./measure/result-file.ts";
import { renderTargets } from "./measure/target.ts";
import type { Findings, Scenario, ScenarioOptions } from "./scenario.ts";

/** How long a Forklane that writes a profile may take to drain, in milliseconds. */
const PROFILED_STOP_MS = 40_000;

/** Runs a scenario in a folder of its own; whatever happens, its processes are stopped. */
export async function runScenario(
  scenario: Scenario,
  options: ScenarioOptions,
  say: (line: string) => void,
): Promise<Findings> {
  const children = new Children(options.profileFolder === null ? undefined : PROFILED_STOP_MS);
  const folder = await mkdtemp(join(tmpdir(), "forklane-bench-"));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeFolder);
  try {
    return await scenario.run({ options, children, folder, say });
  } finally {
    await children.stopAll();
    removeFolder();
    process.off("exit", removeFolder);
  }
}

/** Puts what was found beside the circumstances; `machine` is how it was before the run. */
export function toResult(
  name: string,
  options: ScenarioOptions,
  machine: Machine,
  findings: Findings,
): RunResult {
  const { short, rounds, seconds, sandboxes, accessLog, profileFolder } = options;
  const profiled = profileFolder !== null;
  return {
    scenario: name,
    date: new Date().toISOString(),
    machine,
    versions: findings.versions,
    options: { short, rounds, seconds, sandboxes, accessLog, profiled },
    rows: findings.rows,
    targets: findings.targets,
  };
}

const SHORT_WARNING = "a short run: it shows that the scenario runs; its figures say nothing";

/** What a person reads at the end of a run. */
export function renderFindings(findings: Findings, machine: Machine, short: boolean): string {
  const warning = short ? SHORT_WARNING : (busyWarning(machine) ?? "");
  const parts = [findings.text, renderTargets(findings.targets), warning];
  return `\n${parts.filter((part) => part !== "").join("\n\n")}\n`;
}
