import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CpuProfile, sharesByFile, sharesByFunction } from "./cpu-profile.ts";
import { columnsOf, renderTable } from "./text-table.ts";

const LINES = 15;

/** Says of each profile that this run left in the folder where the busy time went. */
export async function renderProfiles(folder: string, sinceMs: number): Promise<string> {
  const texts: string[] = [];
  for (const name of (await readdir(folder)).toSorted()) {
    const wroteAtMs = Number(/^forklane-[\w.-]+-(\d+)\.cpuprofile$/.exec(name)?.[1] ?? 0);
    if (wroteAtMs < sinceMs) continue;
    const profile = JSON.parse(await readFile(join(folder, name), "utf8")) as CpuProfile;
    texts.push(`${join(folder, name)}\n${renderProfile(profile)}`);
  }
  return texts.join("\n\n");
}

function renderProfile(profile: CpuProfile): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
  const tables = [
    ["file", sharesByFile(profile, LINES)],
    ["function", sharesByFunction(profile, LINES)],
  ] as const;
  return tables
    .map(([heading, shares]) => {
      const cells = shares.map(({ what, share }) => [what, percent(share)]);
      return renderTable(columnsOf([heading], ["own share"]), cells);
    })
    .join("\n\n");
}
