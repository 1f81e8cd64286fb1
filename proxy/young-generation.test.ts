import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";

const MODULE = path.join(import.meta.dirname, "young-generation.ts");

/** MB of the young generation of a process that keeps some of what it makes. */
function youngMb(flags: readonly string[], isKeptSmall: boolean): number {
  const source = `
    import { keepYoungGenerationSmall } from ${JSON.stringify(MODULE)};
    import { getHeapSpaceStatistics } from "node:v8";
    if (${isKeptSmall}) keepYoungGenerationSmall();
    const kept = [];
    for (let i = 0; i < 3e6; i++) {
      kept[i % 100_000] = { i, text: "x" + i };
    }
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
    console.log(young.space_size / 2 ** 20);
  `;
  const args = [...flags, "--input-type=module-typescript", "--eval", source];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  const megabytes = Number.parseFloat(stdout);
  if (Number.isNaN(megabytes)) throw new Error(stderr);
  return megabytes;
}

/** How many times as large it becomes where nothing holds it: 32, and 16 with the flag below. */
const GROWTH = 4;

test("the young generation stays small, unless a flag says how large it is to be", () => {
  // Not a size: how many pages V8 holds besides depends on when its collector happens to run.
  const smallMb = youngMb([], true);
  expect(youngMb([], false)).toBeGreaterThan(GROWTH * smallMb);
  expect(youngMb(["--max-semi-space-size=16"], true)).toBeGreaterThan(GROWTH * smallMb);
});
