import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SCENARIOS } from "../../bench/scenarios.ts";

const run = promisify(execFile);
const BENCH = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forklane-bench-test-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test.for(Object.keys(SCENARIOS))(
  "the scenario %s runs, prints a table and leaves JSON",
  async (name) => {
    const out = join(folder, name);
    const { stdout } = await run(process.execPath, [BENCH, name, "--short", "--out", out]);
    expect(stdout).toMatch(/^-+( {2}-+)+$/m);
    const files = await readdir(out);
    const file = files.find((each) => each.endsWith(".json")) ?? "no JSON";
    const result = JSON.parse(await readFile(join(out, file), "utf8")) as { rows: object[] };
    expect(result.rows.length).toBeGreaterThan(0);
    expect(files.includes(`${name}.svg`)).toBe(name === "compare");
  },
);

test("a comparison of some cases leaves the picture of the last whole one", async () => {
  const out = join(folder, "some");
  const args = [BENCH, "compare", "--short", "--only", "memory", "--peers", "none", "--out", out];
  await run(process.execPath, args);
  expect(await readdir(out)).not.toContain("compare.svg");
});

test("an unknown scenario is a usage error that lists those there are", async () => {
  const failed = run(process.execPath, [BENCH, "no-such-scenario"]);
  await expect(failed).rejects.toThrow(/Allowed choices are bypass, chain, compare/);
});

test("an unknown case is refused with the list of those there are", async () => {
  const args = [BENCH, "compare", "--short", "--only", "no-such-case"];
  await expect(run(process.execPath, args)).rejects.toThrow(/there are untagged, tagged/);
});
