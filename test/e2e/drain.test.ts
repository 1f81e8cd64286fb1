import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { Connection } from "../harness/client.ts";
import { startDataPlane } from "../harness/data-plane.ts";
import { Dice } from "../harness/dice.ts";
import { startProxy } from "../harness/proxy.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const CLIENTS = 20;

async function open(port: number): Promise<Connection> {
  const connection = await Connection.open(port);
  onTestFinished(() => connection.close());
  return connection;
}

async function ask(connection: Connection, bytes = GET): Promise<string> {
  connection.write(bytes);
  const { status, fields } = await connection.response();
  return `${status} ${fields["connection"] ?? "keep-alive"}`;
}

/** Where new connections go: callers learn late that an address is going away. */
class Book {
  port: number;
  /** Connections made since the first response that said close. */
  late = 0;
  isOver = false;
  answered = 0;
  readonly failed: string[] = [];

  constructor(port: number) {
    this.port = port;
  }
}

/** A caller that keeps its connection until it is told to close, and never sends a request twice. */
async function callWithoutRetry(book: Book, dice: Dice): Promise<void> {
  let connection: Connection | null = null;
  while (!book.isOver) {
    connection ??= await open(book.port);
    const answer = await ask(connection, dice.oneIn(3) ? POST : GET).catch(String);
    if (answer === "200 close") {
      connection.close();
      connection = null;
      book.late++;
    } else if (answer !== "200 keep-alive") {
      book.failed.push(answer);
      return;
    }
    book.answered++;
    await wait(dice.below(10));
  }
  connection?.close();
}

/** A pipe that is full, and that nobody reads. */
async function fullPipe(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "forklane-drain-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(pipe));
  // What is left of its last page takes single bytes.
  for (const bytes of [4_096, 1]) while (takes(pipe, bytes));
  return pipe;
}

function takes(pipe: number, bytes: number): boolean {
  try {
    return writeSync(pipe, Buffer.alloc(bytes)) > 0;
  } catch {
    return false;
  }
}

function networks(count: number): string {
  return Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`).join();
}

describe("a stop", () => {
  test("loses no request of callers that never repeat one, while a successor takes over", {
    timeout: 60_000,
  }, async () => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainAcceptMs: 3_000, drainMs: 40_000 };
    const old = await ProxyProcess.start({ baseline: baseline.at, limits });
    const successor = await ProxyProcess.start({ baseline: baseline.at });
    const book = new Book(old.port);
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      callWithoutRetry(book, Dice.of(1, `client ${i}`)),
    );
    const rare = await open(old.port);
    expect(await ask(rare)).toBe("200 keep-alive");
    await expect.poll(() => book.answered).toBeGreaterThan(10 * CLIENTS);

    old.signal("SIGTERM");
    // Who comes again before having heard of it is let in, answered, and told.
    await expect.poll(() => book.late).toBeGreaterThan(2 * CLIENTS);
    book.port = successor.port;
    const isRefused = () => Connection.open(old.port).then((it) => it.close(), String);
    await expect.poll(isRefused, { timeout: 30_000 }).toContain("ECONNREFUSED");

    // Idle all the time, and the listener is gone: still served, and told.
    expect(await ask(rare, POST)).toBe("200 close");
    expect(await old.exit).toBe(0);
    const answered = book.answered;
    await expect.poll(() => book.answered).toBeGreaterThan(answered + CLIENTS);
    book.isOver = true;
    await Promise.all(clients);
    expect(book.failed).toEqual([]);
  });

  test.each(["1", "2"])("told twice ends at once, with %s workers", async (workers) => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainMs: 60_000 };
    const proxy = await ProxyProcess.start({ baseline: baseline.at, flags: { workers }, limits });
    const unfinished = await open(proxy.port);
    unfinished.write("GET / HTTP/1.1\r\n");
    proxy.signal("SIGTERM");
    const isReady = async () => (await fetch(`${proxy.admin}/ready`)).ok;
    await expect.poll(isReady).toBe(false);
    proxy.signal("SIGTERM");
    expect(await proxy.exit).toBe(1);
  });

  test.each([
    ["of one process", {}],
    ["of several processes", { workers: "2" }],
    // More than the environment holds: the process of the command is the proxy.
    ["in the process of the command", { "trust-tags-from": networks(8_000) }],
  ])("of a proxy %s ends it though nobody reads its log", async (_where, flags) => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainAcceptMs: 1 };
    const stderr = await fullPipe();
    const proxy = await ProxyProcess.start({ baseline: baseline.at, flags, limits, stderr });
    proxy.signal("SIGTERM");
    expect(await proxy.exit).toBe(0);
  });

  test("answers requests that were sent together before it says close", async () => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainAcceptMs: 1, drainMs: 10_000 };
    const plane = await startDataPlane({ baseline: baseline.at, limits });
    const connection = await open(plane.port);
    const drained = plane.listener.drain();
    connection.write(GET.repeat(5));
    const told: (string | undefined)[] = [];
    for (let i = 0; i < 5; i++) told.push((await connection.response()).fields["connection"]);
    expect(told).toEqual([undefined, undefined, undefined, undefined, "close"]);
    await connection.until(() => false);
    expect([connection.closed, await drained]).toEqual(["ended", 0]);
  });

  test("may be asked to end sooner than it was first told", async () => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainMs: 300, drainedBodyMs: 1 };
    const plane = await startDataPlane({ baseline: baseline.at, limits });
    const silent = await open(plane.port);
    expect(await ask(silent)).toBe("200 keep-alive");
    const first = plane.listener.drain({ accepts: false, withinMs: 3_600_000 });
    expect(await plane.listener.drain()).toBe(0);
    expect([await first, plane.listener.closedUntold]).toEqual([0, 1]);
  });

  test.each(["drainMs", "withinMs"])(
    "is over by %s, however long new ones may come",
    async (end) => {
      const baseline = await startUpstream(response("ok"));
      const options = end === "withinMs" ? { withinMs: 300 } : {};
      const drainMs = end === "drainMs" ? 300 : 3_600_000;
      const limits = { drainAcceptMs: 3_600_000, drainMs, drainedBodyMs: 1 };
      const plane = await startDataPlane({ baseline: baseline.at, limits });
      const silent = await open(plane.port);
      expect(await ask(silent)).toBe("200 keep-alive");
      expect(await plane.listener.drain(options)).toBe(0);
      expect(plane.listener.closedUntold).toBe(1);
      await expect(Connection.open(plane.port)).rejects.toThrow("ECONNREFUSED");
    },
  );

  test("may be asked to end sooner while new ones are still let in", async () => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainAcceptMs: 3_600_000, drainMs: 3_600_000, drainedBodyMs: 1 };
    const plane = await startDataPlane({ baseline: baseline.at, limits });
    const first = plane.listener.drain();
    expect(await plane.listener.drain({ withinMs: 300 })).toBe(0);
    expect(await first).toBe(0);
  });

  test("of both directions is over by drainMs, whoever stays in either", async () => {
    const baseline = await startUpstream(response("ok"));
    const flags = { "outbound-listen": "127.0.0.1:0" };
    const limits = { drainAcceptMs: 3_600_000, drainMs: 400, drainedBodyMs: 3_600_000 };
    const proxy = await startProxy({ baseline, flags, limits });
    const silent = await Promise.all([open(proxy.port), open(proxy.outboundPort)]);
    await proxy.drain();
    for (const connection of silent) await connection.until(() => false);
    expect(silent.map(({ closed }) => closed)).not.toContain("open");
  });

  test("closes who stays silent to the end, our direction first, and counts it", async () => {
    const baseline = await startUpstream(response("ok"));
    const limits = { drainAcceptMs: 1, drainMs: 600, drainedBodyMs: 300 };
    const plane = await startDataPlane({ baseline: baseline.at, limits });
    const silent = await open(plane.port);
    expect(await ask(silent)).toBe("200 keep-alive");
    const drained = plane.listener.drain();
    await silent.until(() => false);
    // Bytes that cross the end are taken: a reset would destroy what the caller has not read.
    silent.write(GET);
    expect([await drained, plane.listener.closedUntold]).toEqual([0, 1]);
    expect(silent.closed).toBe("ended");
  });
});
