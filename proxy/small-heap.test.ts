import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";

const MODULE = path.join(import.meta.dirname, "small-heap.ts");

/** What a process prints that runs a module. */
function printed(flags: readonly string[], source: string): string {
  const args = [...flags, "--input-type=module-typescript", "--eval", source];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return stdout;
}

/**
 * The least MB that the young generation had in the second half of a process which keeps some of what it
 * makes: beside its own pages V8 holds some more while a collection is not swept up, how many depends on
 * the machine, and now and then none.
 */
function youngMb(flags: readonly string[], isKeptSmall: boolean): number {
  const source = `
    import { keepHeapSmall } from ${JSON.stringify(MODULE)};
    import { getHeapSpaceStatistics } from "node:v8";
    if (${isKeptSmall}) keepHeapSmall();
    const kept = [];
    let leastBytes = Infinity;
    for (let i = 0; i < 3e6; i++) {
      kept[i % 100_000] = { i, text: "x" + i };
      if (i < 1.5e6 || i % 10_000 !== 0) continue;
      const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
      leastBytes = Math.min(leastBytes, young.space_size);
    }
    console.log(leastBytes / 2 ** 20);
  `;
  return Number.parseFloat(printed(flags, source));
}

/** How many times as large it becomes where nothing holds it: 32, and 16 with the flag below. */
const GROWTH = 4;

test("the young generation stays small, unless a flag says how large it is to be", () => {
  const smallMb = youngMb([], true);
  expect(youngMb([], false)).toBeGreaterThan(GROWTH * smallMb);
  expect(youngMb(["--max-semi-space-size=16"], true)).toBeGreaterThan(GROWTH * smallMb);
});

test("the compiler in the middle is off, unless a flag asks for it", () => {
  const isOn = (flags: readonly string[], isKeptSmall: boolean) => {
    const source = `
      import { keepHeapSmall } from ${JSON.stringify(MODULE)};
      if (${isKeptSmall}) keepHeapSmall();
      console.log(new Function("return %IsMaglevEnabled()")());
    `;
    return printed([...flags, "--allow-natives-syntax"], source);
  };
  expect(isOn([], true)).toBe("false\n");
  expect(isOn([], false)).toBe("true\n");
  expect(isOn(["--maglev"], true)).toBe("true\n");
});

test("what became garbage late is collected sooner, unless a flag says when", () => {
  const oldMb = (flags: readonly string[]) => {
    const source = `
      import { keepHeapSmall } from ${JSON.stringify(MODULE)};
      import { getHeapSpaceStatistics } from "node:v8";
      keepHeapSmall();
      const kept = [];
      let most = 0;
      for (let i = 0; i < 2e6; i++) {
        kept[i % 100_000] = { i, text: "x" + i };
        if (i % 1_000 !== 0) continue;
        const old = getHeapSpaceStatistics().find((space) => space.space_name === "old_space");
        most = Math.max(most, old.space_used_size);
      }
      console.log(most / 2 ** 20);
    `;
    return Number.parseFloat(printed(flags, source));
  };
  expect(oldMb(["--heap-growing-percent=300"])).toBeGreaterThan(1.5 * oldMb([]));
});

test("a small buffer that is kept holds no more than 8 KiB and what Node adds", () => {
  const heldBytes = printed(
    [],
    `
      import { keepHeapSmall } from ${JSON.stringify(MODULE)};
      keepHeapSmall();
      // The slab that Node began with is used up first.
      for (let i = 0; i < 100; i++) Buffer.allocUnsafe(4000);
      console.log(Buffer.allocUnsafe(100).buffer.byteLength);
    `,
  );
  expect(Number(heldBytes)).toBeLessThan(9 * 1024);
});
