import { execFileSync } from "node:child_process";
import { type FSWatcher, watch } from "node:fs";
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RoutingTable } from "../routing/table.ts";
import { readBounded, TABLE_FILE_BYTES_MAX } from "./remember.ts";
import { TableFile, type TableFileOptions } from "./table-file.ts";

let dir: string;
let file: string;
let tables: RoutingTable[];
let log: string[];
let options: TableFileOptions;
let source: TableFile;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "forklane-table-"));
  file = path.join(dir, "table.json");
  tables = [];
  log = [];
  options = {
    file,
    workload: "shop/cart",
    log: { info: (message) => log.push(message), warn: (message) => log.push(message) },
    onTable: (table) => tables.push(table),
  };
  source = new TableFile(options);
});
afterEach(async () => {
  source.stop();
  await rm(dir, { recursive: true });
});

/** The source at another path, or with other options. */
function replaceSource(change: Partial<TableFileOptions>): void {
  source.stop();
  source = new TableFile({ ...options, ...change });
}

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

  it("is asked for its state once at a time, however long the file system takes", async () => {
    await write(1);
    const answers: ((state: string) => void)[] = [];
    const state = () => new Promise<string>((resolve) => answers.push(resolve));
    replaceSource({ state });
    const started = source.start();
    await expect.poll(() => answers.length).toBe(1);
    await Promise.all([source.look(), source.look()]);
    expect(answers).toHaveLength(1);
    await write(2);
    answers[0]?.("another");
    await started;
    expect(revisions()).toEqual(["1", "2"]);
    const next = source.look();
    await expect.poll(() => answers.length).toBe(2);
    answers[1]?.("another");
    await next;
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
    for (const secret of ["hunter2", '"hunter2"', "31415926"]) {
      await writeFile(file, secret);
      const why = await whyNot();
      expect(why).toContain(file);
      expect(why).not.toMatch(/hunter|314/);
    }
    await writeFile(file, '{"revision": 1, "routes": {"jane-42": 7}}');
    expect(await whyNot()).toContain(file);
    expect(tables).toEqual([]);
  });

  it("is read once at a time, and once more after a change during a read: the newest text wins", async () => {
    let count = 0;
    const held = Promise.withResolvers<void>();
    const slow = Promise.withResolvers<void>();
    replaceSource({
      async read(where) {
        const text = await readBounded(where);
        // The second read has its text, and is slow to hand it over.
        if (++count === 2) {
          held.resolve();
          await slow.promise;
        }
        return text;
      },
    });
    await write(1);
    await source.start();
    await write(2, `${file}.2`);
    await rename(`${file}.2`, file);
    await held.promise;
    await write(3, `${file}.3`);
    await rename(`${file}.3`, file);
    await source.look();
    expect([count, revisions()]).toEqual([2, ["1"]]);
    slow.resolve();
    await expect.poll(revisions).toEqual(["1", "2", "3"]);
  });

  it("that is read when the source stops is not taken any more", async () => {
    const slow = Promise.withResolvers<void>();
    replaceSource({
      async read(where) {
        await slow.promise;
        return await readBounded(where);
      },
    });
    await write(1);
    const listeners = process.listenerCount("SIGHUP");
    const started = source.start();
    source.stop();
    slow.resolve();
    await started;
    expect(tables).toEqual([]);
    expect(process.listenerCount("SIGHUP")).toBe(listeners);
  });

  it("that is a pipe is named at once, and what to give instead", async () => {
    execFileSync("mkfifo", [file]);
    const why = await whyNot();
    expect(why).toContain(file);
    expect(why).toContain("regular file");
  });

  it("longer than the limit is not read", async () => {
    await write(1);
    await truncate(file, TABLE_FILE_BYTES_MAX + 1);
    expect(await whyNot()).toContain(String(TABLE_FILE_BYTES_MAX));
  });
});

describe("the folder of a table file", () => {
  let folder: string;
  let inFolder: string;
  /** Longer than any test: what is seen is seen by an event, or by a look of the test's. */
  const never = { lookMs: 2 ** 31 - 1, watch: watchFolder };
  let watchers: FSWatcher[];

  function watchFolder(where: string, onChange: () => void): FSWatcher {
    const watcher = watch(where, { persistent: false }, onChange);
    watchers.push(watcher);
    return watcher;
  }

  beforeEach(async () => {
    watchers = [];
    folder = path.join(dir, "folder");
    inFolder = path.join(folder, "table.json");
    await mkdir(path.join(dir, "a"));
    await mkdir(path.join(dir, "b"));
    await write(1, path.join(dir, "a", "table.json"));
    await write(2, path.join(dir, "b", "table.json"));
  });

  it("may be replaced: the new one is read, and watched from then on", async () => {
    replaceSource({ file: inFolder, ...never });
    await rename(path.join(dir, "a"), folder);
    await source.start();
    await rename(folder, path.join(dir, "former"));
    await rename(path.join(dir, "b"), folder);
    await source.look();
    await expect.poll(revisions).toEqual(["1", "2"]);
    await expect.poll(() => watchers).toHaveLength(2);
    await write(3, inFolder);
    await expect.poll(revisions).toEqual(["1", "2", "3"]);
  });

  it("may be a link that leads elsewhere later", async () => {
    replaceSource({ file: inFolder, ...never });
    await symlink("a", folder);
    await source.start();
    await symlink("b", `${folder}.new`);
    await rename(`${folder}.new`, folder);
    await source.look();
    await expect.poll(revisions).toEqual(["1", "2"]);
    await write(3, inFolder);
    await expect.poll(revisions).toEqual(["1", "2", "3"]);
  });

  it("may change by a link within it, as a ConfigMap does", async () => {
    replaceSource(never);
    await symlink("a", path.join(dir, "..data"));
    await symlink("..data/table.json", file);
    await source.start();
    await symlink("b", path.join(dir, "..new"));
    await rename(path.join(dir, "..new"), path.join(dir, "..data"));
    await expect.poll(revisions).toEqual(["1", "2"]);
  });

  it("is looked at from time to time, for changes of which no event tells", async () => {
    replaceSource({ lookMs: 10 });
    await symlink("a/table.json", file);
    await source.start();
    await write(3, path.join(dir, "a", "table.json"));
    await expect.poll(revisions).toEqual(["1", "3"]);
  });

  it("that is gone is told once, and the table stays until there is one again", async () => {
    replaceSource({ file: inFolder, ...never });
    await rename(path.join(dir, "a"), folder);
    await source.start();
    await rename(folder, path.join(dir, "former"));
    await expect.poll(() => log.join()).toContain("the table stays as it is");
    const told = log.length;
    await source.look();
    await source.look();
    expect([log.length, revisions()]).toEqual([told, ["1"]]);
    await rename(path.join(dir, "b"), folder);
    await source.look();
    await expect.poll(revisions).toEqual(["1", "2"]);
  });

  it("whose watcher fails is named, looked at, and watched again", async () => {
    replaceSource(never);
    await write(1);
    await source.start();
    watchers[0]?.emit("error", new Error("no more watches"));
    expect(log.join()).toContain(dir);
    await write(2);
    await source.look();
    await expect.poll(revisions).toEqual(["1", "2"]);
    expect(watchers).toHaveLength(2);
    await write(3);
    await expect.poll(revisions).toEqual(["1", "2", "3"]);
  });

  it("that cannot be watched is told once, and looked at all the same", async () => {
    replaceSource({
      lookMs: 10,
      watch: () => {
        throw new Error("no more watches");
      },
    });
    await write(1);
    await source.start();
    await write(2);
    await expect.poll(revisions).toEqual(["1", "2"]);
    expect(log.filter((line) => line.includes("no more watches"))).toHaveLength(1);
  });
});
