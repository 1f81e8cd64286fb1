import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";

const MODULE = path.join(import.meta.dirname, "small-heap.ts");

/** What a process prints that keeps some of what it makes, and at the end the MB of its young generation. */
function output(flags: readonly string[], isKeptSmall: boolean): string {
  const source = `
    import { keepHeapSmall } from ${JSON.stringify(MODULE)};
    import { getHeapSpaceStatistics } from "node:v8";
    if (${isKeptSmall}) keepHeapSmall();
    const kept = [];
    function keep(i) {
      kept[i % 100_000] = { i, text: "x" + i };
    }
    for (let i = 0; i < 3e6; i++) keep(i);
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
    console.log(young.space_size / 2 ** 20);
  `;
  const args = [...flags, "--input-type=module-typescript", "--eval", source];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return stdout;
}

function youngMb(flags: readonly string[], isKeptSmall: boolean): number {
  return Number.parseFloat(output(flags, isKeptSmall));
}

/** How many times as large it becomes where nothing holds it: 32, and 16 with the flag below. */
const GROWTH = 4;

test("the young generation stays small, unless a flag says how large it is to be", () => {
  // Not a size: how many pages V8 holds besides depends on when its collector happens to run.
  const smallMb = youngMb([], true);
  expect(youngMb([], false)).toBeGreaterThan(GROWTH * smallMb);
  expect(youngMb(["--max-semi-space-size=16"], true)).toBeGreaterThan(GROWTH * smallMb);
});

test("nothing is compiled by the compiler in the middle, unless a flag asks for it", () => {
  const compiles = (flags: readonly string[], isKeptSmall: boolean) =>
    /JSFunction keep\b.*target MAGLEV/.test(output(["--trace-opt", ...flags], isKeptSmall));
  expect(compiles([], true)).toBe(false);
  expect(compiles([], false)).toBe(true);
  expect(compiles(["--maglev"], true)).toBe(true);
});
