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
    const [file = ""] = await readdir(out);
    const result = JSON.parse(await readFile(join(out, file), "utf8")) as { rows: object[] };
    expect(result.rows.length).toBeGreaterThan(0);
  },
);

test("an unknown scenario is a usage error that lists those there are", async () => {
  const failed = run(process.execPath, [BENCH, "no-such-scenario"]);
  await expect(failed).rejects.toThrow(/Allowed choices are chain, cpu/);
});
