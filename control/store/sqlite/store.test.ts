import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { CONTROL_LIMITS, type ControlLimits } from "../../model/limits.ts";
import { commitTo, putSandbox, storeCases } from "../store.cases.ts";
import { StoreOpenError } from "../store.ts";
import { SqliteStore } from "./store.ts";

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "forklane-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "forklane.db");
}

function openAt(file: string, limits: ControlLimits = CONTROL_LIMITS, wantsNewEpoch = false) {
  const store = SqliteStore.open({ file, limits, wantsNewEpoch });
  onTestFinished(() => store.close());
  return store;
}

storeCases(async (limits) => openAt(freshFile(), limits));

test("everything is there again after a restart: resources, version, epoch, expired keys", async () => {
  const file = freshFile();
  const store = openAt(file);
  await commitTo(store, putSandbox("a-1", { labels: { team: "cart" }, ttl: { idle: "2h" } }));
  const { steps } = await commitTo(store, putSandbox("b-1"));
  const expected = `${steps[0]?.after?.uid}.1`;
  await commitTo(store, {
    op: "remove",
    kind: "sandbox",
    name: "b-1",
    expect: expected,
    tombstoneUntilMs: 9_000,
  });
  const before = await store.read();
  await store.close();
  const again = openAt(file);
  expect(await again.read()).toEqual(before);
  expect(again.epoch).toBe(store.epoch);
  expect((await commitTo(again, putSandbox("c-1"))).version).toBe(4);
});

test("a second one on the same file is refused by name, and may come when the first has gone", async () => {
  const file = freshFile();
  const store = openAt(file);
  expect(() => openAt(file)).toThrow(StoreOpenError);
  expect(() => openAt(file)).toThrow(file);
  await store.close();
  expect(openAt(file).epoch).toBe(store.epoch);
});

test("what was acknowledged before kill -9 is there, and the lock is gone with the process", async () => {
  const file = freshFile();
  const writer = fileURLToPath(new URL("writer.fake.ts", import.meta.url));
  const child = spawn(process.execPath, [writer, file], { stdio: ["ignore", "pipe", "inherit"] });
  let acknowledged = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    acknowledged += text;
    if (acknowledged.length > 500) child.kill("SIGKILL");
  });
  const [, signal] = await once(child, "close");
  expect(signal).toBe("SIGKILL");
  const last = Number(acknowledged.split("\n").at(-2));
  expect(last).toBeGreaterThan(10);
  const { resources, version } = await openAt(file).read();
  const names = new Set(resources.map((resource) => resource.name));
  for (let i = 0; i <= last; i++) expect(names).toContain(`s-${i}`);
  expect(version).toBe(resources.length);
});

test("a new epoch can be asked for, after a backup was restored", async () => {
  const file = freshFile();
  const store = openAt(file);
  await commitTo(store, putSandbox("a-1"));
  await store.close();
  const again = openAt(file, CONTROL_LIMITS, true);
  expect(again.epoch).not.toBe(store.epoch);
  expect((await again.read()).resources).toHaveLength(1);
  await again.close();
  expect(openAt(file).epoch).toBe(again.epoch);
});

test("a file that is no database, or is damaged, is refused by name and left as it was", async () => {
  const text = freshFile();
  writeFileSync(text, "this is no database, and long enough to be looked at".repeat(200));
  expect(() => openAt(text)).toThrow(text);
  expect(readFileSync(text, "utf8")).toContain("this is no database");

  const damaged = freshFile();
  const store = openAt(damaged);
  for (let i = 0; i < 200; i++) await commitTo(store, putSandbox(`s-${i}`));
  await store.close();
  const bytes = readFileSync(damaged);
  bytes.fill(0xff, 4_096, 12_288);
  writeFileSync(damaged, bytes);
  expect(() => openAt(damaged)).toThrow(StoreOpenError);
});

test("another program's database and a format of another release are refused by name", () => {
  const foreign = freshFile();
  const database = new DatabaseSync(foreign);
  database.exec("CREATE TABLE theirs (a TEXT)");
  database.close();
  expect(() => openAt(foreign)).toThrow(foreign);

  const newer = freshFile();
  void openAt(newer).close();
  const raw = new DatabaseSync(newer);
  raw.exec("PRAGMA user_version = 99");
  raw.close();
  expect(() => openAt(newer)).toThrow("99");
});

test("a folder that may not be written to is refused by name", () => {
  // Root may write to every folder but those of the kernel.
  const file = process.getuid?.() === 0 ? "/proc/forklane.db" : freshFile();
  const folder = join(file, "..");
  if (folder !== "/proc") {
    chmodSync(folder, 0o500);
    onTestFinished(() => chmodSync(folder, 0o700));
  }
  expect(() => openAt(file)).toThrow(file);
});

test("a folder that is not there is refused by name", () => {
  const file = join(freshFile(), "..", "absent", "forklane.db");
  expect(() => openAt(file)).toThrow(StoreOpenError);
  expect(() => openAt(file)).toThrow(file);
});

test("only its owner may read the file: keys are capabilities", () => {
  const file = freshFile();
  openAt(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(`${file}-wal`).mode & 0o777).toBe(0o600);
});

test("a copy of the file is a backup that opens beside the original", async () => {
  const file = freshFile();
  const store = openAt(file);
  await commitTo(store, putSandbox("a-1"));
  await store.close();
  const copy = `${file}.copy`;
  copyFileSync(file, copy);
  openAt(file);
  expect((await openAt(copy).read()).resources).toHaveLength(1);
});

test("a write that fails changes nothing, in the file and in memory", async () => {
  const file = freshFile();
  const store = openAt(file);
  await commitTo(store, putSandbox("a-1"));
  const intruder = new DatabaseSync(file);
  intruder.exec(
    "CREATE TRIGGER full BEFORE INSERT ON resources BEGIN SELECT RAISE(ABORT, 'full'); END",
  );
  await expect(store.commit([putSandbox("b-1")])).rejects.toThrow("full");
  expect(await store.get("sandbox", "b-1")).toBeNull();
  expect((await store.read()).version).toBe(1);
  intruder.exec("DROP TRIGGER full");
  intruder.close();
  expect((await commitTo(store, putSandbox("b-1"))).version).toBe(2);
});
