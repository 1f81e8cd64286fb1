import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RoutingTable } from "../routing/table.ts";
import { TABLE_FILE_BYTES_MAX } from "./remember.ts";
import { TableFile } from "./table-file.ts";

let dir: string;
let file: string;
let tables: RoutingTable[];
let log: string[];
let source: TableFile;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "forklane-table-"));
  file = path.join(dir, "table.json");
  tables = [];
  log = [];
  source = new TableFile({
    file,
    workload: "shop/cart",
    log: { info: (message) => log.push(message), warn: (message) => log.push(message) },
    onTable: (table) => tables.push(table),
  });
});
afterEach(async () => {
  source.stop();
  await rm(dir, { recursive: true });
});

function write(revision: number, where = file): Promise<void> {
  const route = { sandbox: "jane-42", endpoints: ["127.0.0.1:9002"], onUnavailable: "fail" };
  return writeFile(where, JSON.stringify({ revision, routes: { "jane-42": route }, known: [] }));
}

async function whyNot(): Promise<string> {
  const started = await source.start();
  return started.ok ? "" : started.error;
}

const revisions = () => tables.map(({ revision }) => revision);

describe("a table file", () => {
  it("is read at the start, and again when it changes", async () => {
    await write(1);
    expect(await whyNot()).toBe("");
    expect(revisions()).toEqual(["1"]);
    await write(2);
    await expect.poll(revisions).toEqual(["1", "2"]);
  });

  it("is read again when another file takes its place", async () => {
    await write(1);
    await source.start();
    await write(2, `${file}.new`);
    await rename(`${file}.new`, file);
    await expect.poll(revisions).toEqual(["1", "2"]);
  });

  it("is read again on SIGHUP, also where its folder shows no change", async () => {
    const elsewhere = path.join(dir, "elsewhere");
    await mkdir(elsewhere);
    const target = path.join(elsewhere, "table.json");
    await write(1, target);
    await symlink(target, file);
    await source.start();
    await write(2, target);
    process.emit("SIGHUP");
    await expect.poll(revisions).toEqual(["1", "2"]);
  });

  it("with a wrong new content changes nothing, and says so", async () => {
    await write(1);
    await source.start();
    await writeFile(file, '{"revision": 2, "routes": {');
    await expect.poll(() => log.join()).toContain("the table stays as it is");
    expect(revisions()).toEqual(["1"]);
    await write(3);
    await expect.poll(revisions).toEqual(["1", "3"]);
  });

  it("that is not there, no JSON or no table is named", async () => {
    expect(await whyNot()).toContain(file);
    await writeFile(file, "{");
    expect(await whyNot()).toContain(file);
    expect(await whyNot()).toContain("line 1 column 2");
    await writeFile(file, "hunter2");
    expect(await whyNot()).not.toContain("hunter");
    await writeFile(file, '{"revision": 1, "routes": {"jane-42": 7}}');
    expect(await whyNot()).toContain(file);
    expect(tables).toEqual([]);
  });

  it("longer than the limit is not read", async () => {
    await write(1);
    await truncate(file, TABLE_FILE_BYTES_MAX + 1);
    expect(await whyNot()).toContain(String(TABLE_FILE_BYTES_MAX));
  });
});
