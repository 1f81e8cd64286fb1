import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, constants, mkdirSync, openSync, symlinkSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { TableDocument } from "../../core/watch-events.ts";
import {
  checkStateDir,
  readBounded,
  TABLE_AGE_MAX_MS,
  TABLE_FILE_BYTES_MAX,
  TableMemory,
} from "./remember.ts";

const TABLE: TableDocument = {
  revision: "e.7",
  workloads: { "shop/cart": { routes: {} } },
  known: ["jane-42"],
};

let dir: string;
let file: string;
let nowMs: number;
let faults: string[];

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "forklane-state-"));
  file = path.join(dir, "last-table.json");
  nowMs = 1_700_000_000_000;
  faults = [];
});
afterEach(() => rm(dir, { recursive: true }));

function memoryOf(workload = "shop/cart", where = dir): TableMemory {
  const clock = { nowMs: () => nowMs, epochMs: () => nowMs };
  return new TableMemory({ dir: where, workload, clock, onFault: (why) => faults.push(why) });
}

async function remember(): Promise<void> {
  const memory = memoryOf();
  memory.changed(() => TABLE);
  await memory.flush();
}

async function whyNot(workload?: string): Promise<string> {
  const recalled = await memoryOf(workload).recall();
  return recalled.ok ? "it was used" : recalled.error.code;
}

describe("the last table on disk", () => {
  it("is read back as it was written, with the time when control confirmed it", async () => {
    await remember();
    expect(await memoryOf().recall()).toEqual({
      ok: true,
      value: { document: TABLE, confirmedAtMs: nowMs },
    });
    expect(await readdir(dir)).toEqual(["last-table.json"]);
  });

  it("is absent at the first start", async () => {
    expect(await whyNot()).toBe("absent");
  });

  it("is not used when a byte of it changed, or its end is missing", async () => {
    await remember();
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace("jane-42", "jane-43"));
    expect(await whyNot()).toBe("damaged");
    for (const length of [0, 10, text.length - 1]) {
      await writeFile(file, text.slice(0, length));
      expect(await whyNot()).toBe("damaged");
    }
    await writeFile(file, Buffer.alloc(1_000, 0xff));
    expect(await whyNot()).toBe("damaged");
  });

  it("is not read when it is longer than any table", async () => {
    await remember();
    await truncate(file, TABLE_FILE_BYTES_MAX + 1);
    expect(await whyNot()).toBe("damaged");
  });

  it.each([
    ["a named pipe", (where: string) => execFileSync("mkfifo", [where])],
    ["a device", (where: string) => symlinkSync("/dev/zero", where)],
    ["a folder", (where: string) => mkdirSync(where)],
  ])("is not read where it is %s", async (_, make) => {
    make(file);
    expect(await whyNot()).toBe("unreadable");
  });

  it.runIf(process.platform === "linux")(
    "is read to its limit and not further, whatever length it says",
    async () => {
      // It says 0, and has 8 bytes for each page that there could be.
      const read = await readBounded("/proc/self/pagemap", 2 ** 20 - 1);
      expect(read).toMatchObject({ ok: false, error: { code: "damaged" } });
      expect((await readBounded("/proc/self/status")).ok).toBe(true);
    },
  );

  it("is not written where it would be longer than what is read back, and says so", async () => {
    const memory = memoryOf();
    memory.changed(() => ({ ...TABLE, known: ["x".repeat(TABLE_FILE_BYTES_MAX)] }));
    await memory.flush();
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(file);
    expect(await readdir(dir)).toEqual([]);
  });

  it("is not used when it is of another format version", async () => {
    await remember();
    const text = await readFile(file, "utf8");
    const [head = "", document = ""] = text.split("\n");
    const lines = `${head.replace('"version":1', '"version":2')}\n${document}\n`;
    const sum = createHash("sha256").update(lines).digest("hex");
    await writeFile(file, `${lines}${sum}\n`);
    expect(await whyNot()).toBe("damaged");
  });

  it("is not used, nor does it end the start, when its values are nested without an end", async () => {
    const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const lines = `{"format":"forklane-table","version":1,"workload":${nested}}\n{}\n`;
    await writeFile(file, `${lines}${createHash("sha256").update(lines).digest("hex")}\n`);
    expect(await whyNot()).toBe("damaged");
  });

  it("is not used for another workload", async () => {
    await remember();
    expect(await whyNot("shop/pricing")).toBe("other-workload");
  });

  it("is used for 24 hours, and not longer", async () => {
    await remember();
    nowMs += TABLE_AGE_MAX_MS;
    expect(await whyNot()).toBe("it was used");
    nowMs += 1;
    expect(await whyNot()).toBe("too-old");
  });

  it("is not used when it comes from the future: its age cannot be known", async () => {
    await remember();
    nowMs -= 60 * 60_000;
    expect(await whyNot()).toBe("too-old");
  });

  it("stays young while control confirms it, without a write for each heartbeat", async () => {
    const memory = memoryOf();
    memory.changed(() => TABLE);
    await memory.flush();
    nowMs += 60_000;
    memory.confirmed(() => TABLE);
    await memory.flush();
    expect(await memoryOf().recall()).toMatchObject({ value: { confirmedAtMs: nowMs - 60_000 } });
    nowMs += 10 * 60_000;
    memory.confirmed(() => TABLE);
    await memory.flush();
    expect(await memoryOf().recall()).toMatchObject({ value: { confirmedAtMs: nowMs } });
  });

  it("is written once for a burst of changes", async () => {
    const memory = memoryOf();
    let encoded = 0;
    for (let i = 0; i < 100; i++) {
      memory.changed(() => ({ ...TABLE, revision: `e.${++encoded}` }));
      memory.tick();
    }
    await memory.flush();
    expect(encoded).toBeLessThanOrEqual(2);
  });

  it("leaves no temporary files behind after a crash", async () => {
    await remember();
    const others = `last-table.json.${process.ppid}.tmp`;
    // No process has the first number; this one writes nothing yet; the last one runs.
    for (const pid of [99_999_999, process.pid]) await writeFile(`${file}.${pid}.tmp`, "half a ta");
    await writeFile(path.join(dir, others), "half a ta");
    expect(await whyNot()).toBe("it was used");
    expect(await readdir(dir)).toEqual(["last-table.json", others]);
  });

  it("says so when it cannot be written, and the proxy goes on", async () => {
    const blocked = path.join(dir, "a-file");
    await writeFile(blocked, "");
    const memory = memoryOf("shop/cart", blocked);
    memory.changed(() => TABLE);
    await memory.flush();
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(blocked);
  });
});

describe("the state directory", () => {
  it("is made when it is not there", async () => {
    expect(await checkStateDir(path.join(dir, "a", "b"))).toEqual({ ok: true, value: null });
  });

  it("that cannot be written is named", async () => {
    const blocked = path.join(dir, "a-file");
    await writeFile(blocked, "");
    await chmod(blocked, 0o400);
    const checked = await checkStateDir(blocked);
    expect(checked.ok ? "" : checked.error).toContain(blocked);
  });

  it("in a place where none can be made is named", async () => {
    const nowhere = "/proc/self/fd/state";
    const checked = await checkStateDir(nowhere, 600_000);
    expect(checked.ok ? "" : checked.error).toContain(`${nowhere} cannot be written`);
  });

  it("of a file system that does not answer is not waited for", async () => {
    // An open for writing waits for a reader.
    const probe = path.join(dir, `.writable.${process.pid}.tmp`);
    execFileSync("mkfifo", [probe]);
    const checked = await checkStateDir(dir, 50);
    expect(checked.ok ? "" : checked.error).toContain(`${dir} cannot be used: no answer`);
    const reader = openSync(probe, constants.O_RDONLY | constants.O_NONBLOCK);
    onTestFinished(() => closeSync(reader));
  });
});
