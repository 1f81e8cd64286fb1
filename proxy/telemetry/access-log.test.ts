import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type AccessLog, startAccessLog } from "./access-log.ts";
import { pathOf } from "./access-log-line.ts";
import { escapeControls } from "./ascii-line.ts";
import { fieldList, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "forklane-log-"));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(dir, { recursive: true });
});

async function start(...options: Parameters<typeof startAccessLog>): Promise<AccessLog> {
  const log = await startAccessLog(...options);
  if (log === null) throw new Error("the log is off");
  return log;
}

async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const written = await readFile(file, "utf8");
  return written
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("the access log", () => {
  it("has a line for each tagged exchange, with decision, reason and fault", async () => {
    const file = path.join(dir, "access.log");
    const log = await start({ file, untaggedEvery: 0 }, "shop/cart");
    log.finished(taggedExchange());
    log.finished(untaggedExchange());
    log.finished(taggedExchange({ fault: "upstream-closed", status: 502 }));
    await log.stop();
    const lines = await linesOf(file);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      workload: "shop/cart",
      decision: "fork",
      reason: "fork",
      fault: null,
      key: "jane-42",
      tag: "jane-42",
      path: "/items",
      status: 200,
      endpoint: "10.0.0.9:8080",
      durationMs: 4.5,
    });
    expect(lines[1]).toMatchObject({ fault: "upstream-closed", status: 502 });
  });

  it("has one of N untagged exchanges", async () => {
    const file = path.join(dir, "access.log");
    const log = await start({ file, untaggedEvery: 10 });
    for (let i = 0; i < 25; i++) log.finished(untaggedExchange());
    await log.stop();
    expect(await linesOf(file)).toHaveLength(2);
  });

  it("never holds queries, cookies, credentials or baggage other than the tag", async () => {
    const file = path.join(dir, "access.log");
    const log = await start({ file, untaggedEvery: 1 });
    const fields = fieldList([
      ["cookie", "session=secret-1"],
      ["authorization", "Bearer secret-2"],
      ["baggage", "sandbox=jane-42,user=secret-3"],
    ]);
    log.finished(taggedExchange({ fields, target: "/pay?card=secret-4" }));
    log.finished(untaggedExchange({ fields, target: "/pay#secret-5" }));
    await log.stop();
    expect(await readFile(file, "utf8")).not.toContain("secret");
  });

  it("escapes control bytes, so that a peer cannot write a line of its own", async () => {
    const file = path.join(dir, "access.log");
    const log = await start({ file, untaggedEvery: 1 });
    log.finished(untaggedExchange({ target: '/a\n{"decision":"fork"}\x1b[2J\x9b' }));
    await log.stop();
    const written = await readFile(file, "utf8");
    expect(written.trimEnd().split("\n")).toHaveLength(1);
    expect(written).not.toContain("\x1b");
    expect(written).not.toContain("\x9b");
    expect((await linesOf(file))[0]?.["path"]).toBe('/a\\x0a{"decision":"fork"}\\x1b[2J\\x9b');
  });

  it("that cannot be opened is a wrong setting", async () => {
    const file = path.join(dir, "absent", "access.log");
    await expect(startAccessLog({ file, untaggedEvery: 1 })).rejects.toMatchObject({
      setting: "--access-log",
      message: expect.stringContaining(file),
    });
  });

  it("that is a pipe without a reader is a wrong setting, and is not waited for", async () => {
    const fifo = path.join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    await expect(startAccessLog({ file: fifo, untaggedEvery: 1 })).rejects.toMatchObject({
      setting: "--access-log",
      message: expect.stringMatching(/fifo.*reader/),
    });
  });

  it("drops and counts lines when nobody reads what it writes", async () => {
    const fifo = path.join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const log = await start({ file: fifo, untaggedEvery: 1 });
    const longPath = { target: `/${"a".repeat(500)}` };
    for (let i = 0; i < 6_000; i++) log.finished(untaggedExchange(longPath));
    expect(log.droppedLines).toBeGreaterThan(0);
    const stopped = log.stop();
    const written = await text(new net.Socket({ fd: reader, writable: false }));
    await stopped;
    expect(written.split("\n").length - 1 + log.droppedLines).toBe(6_000);
  });

  it("holds up a stop for a second when nobody reads what it writes", async () => {
    const fifo = path.join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const log = await start({ file: fifo, untaggedEvery: 1 });
    for (let i = 0; i < 6_000; i++) log.finished(untaggedExchange());
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let isStopped = false;
    void log.stop().then(() => {
      isStopped = true;
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(isStopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isStopped).toBe(true);
    // Ends the write that waits.
    closeSync(reader);
  });

  it("is not there when it is off", async () => {
    expect(await startAccessLog({ file: "off", untaggedEvery: 1 })).toBeNull();
  });

  it("cuts a path that is longer than anybody reads", () => {
    expect(pathOf(`/${"a".repeat(600)}?b`)).toBe(`/${"a".repeat(511)}...`);
    expect(escapeControls("plain")).toBe("plain");
  });
});
