import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Clock, systemClock } from "../../core/clock.ts";
import { DEFAULT_LIMITS, type Limits } from "../../proxy/limits.ts";
import { MemoryPressure } from "../../proxy/listener/memory-pressure.ts";
import { HandClock } from "../../proxy/watch/watched-proxy.fake.ts";
import { Connection, get, sendRaw } from "../harness/client.ts";
import { type DataPlane, listenRaw, startDataPlane } from "../harness/data-plane.ts";
import { startDeafUpstream } from "../harness/deaf.ts";
import { NOBODY, portOf, startProxy, type TestProxy } from "../harness/proxy.ts";
import { type Reply, response, startUpstream } from "../harness/upstream.ts";

/** One limit, set to what a test can reach: what is within it passes, what is past it does not. */
type Reach = () => Promise<void>;

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const SOON_MS = 100;
const OK = response("ok");

async function start(limits: Partial<Limits>, reply: Reply = OK, clock: Clock = systemClock) {
  const baseline = await startUpstream(reply);
  return { baseline, plane: await startDataPlane({ baseline: baseline.at, limits, clock }) };
}

async function open({ port }: DataPlane): Promise<Connection> {
  const connection = await Connection.open(port);
  onTestFinished(() => connection.close());
  return connection;
}

/** The status, or the fault, that bytes are answered with on a connection of their own. */
async function answerTo(plane: DataPlane, bytes: string): Promise<string> {
  const connection = await open(plane);
  connection.write(bytes);
  const seen = await connection.response();
  connection.close();
  return seen.fields["forklane-fault"]?.split(";")[0] ?? String(seen.status);
}

/** `make(n)` passes at the limit `n` and is answered with `fault` one past it. */
function edge(name: keyof Limits, max: number, fault: string, make: (n: number) => string): Reach {
  return async () => {
    const { plane } = await start({ [name]: max });
    expect(await answerTo(plane, make(max))).toBe("200");
    expect(await answerTo(plane, make(max + 1))).toBe(fault);
  };
}

/** What a request fails with once `ms` have passed: nothing a millisecond before. */
async function faultsAfter(plane: DataPlane, clock: HandClock, ms: number) {
  (await open(plane)).write(GET);
  await expect.poll(() => plane.pool.connections).toBe(1);
  for (const step of [ms - 1, 1]) {
    expect(plane.recorded).toEqual([]);
    clock.ms += step;
    // Twice: a connection may be there, and this process too busy to have noticed.
    for (let i = 0; i < 2; i++) plane.ticker.tick();
  }
  return plane.recorded.map(({ fault }) => fault);
}

/** A GET whose head has `n` bytes. */
function headOf(n: number): string {
  const around = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".length;
  return `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(n - around)}\r\n\r\n`;
}

/** The timer that the kernel runs for connections whose own end is a port: `02:...` where it probes. */
async function kernelTimer(port: number): Promise<string> {
  if (process.platform !== "linux") return "02:00001000";
  const own = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = (await readFile("/proc/net/tcp", "utf8"))
    .split("\n")
    .map((row) => row.trim().split(/ +/));
  const row = rows.find((words) => words[1]?.endsWith(own) && words[3] === "01");
  return row?.[5] ?? "none";
}

/** Seconds until it probes; proc(5) has hundredths, in hex. */
function probesIn(timer: string): number {
  const [kind, when = ""] = timer.split(":");
  return kind === "02" ? Number.parseInt(when, 16) / 100 : Number.NaN;
}

/** Held requests of a baseline: it answers when the test says so. */
function held(): { readonly sockets: Socket[]; readonly reply: Reply } {
  const sockets: Socket[] = [];
  const reply: Reply = (_request, socket) => {
    sockets.push(socket);
    return null;
  };
  return { sockets, reply };
}

/** A proxy to which the kernel redirects calls that were dialled to `baseline`. */
async function startRedirected(baseline: string, limits: Partial<Limits>) {
  const intendedAddress = { address: "127.0.0.1", port: portOf(baseline) };
  return await startDataPlane({
    baseline,
    limits,
    flags: { mode: "outbound" },
    interception: { intercepted: () => ({ intendedAddress, baseline }) },
  });
}

/** A proxy that takes calls, too, and a service that they may be for. */
async function startBothSides(limits: Partial<Limits>) {
  const baseline = await startUpstream(OK);
  const pricing = await startUpstream(OK);
  const callees = { "shop/pricing": { hosts: ["pricing"], baseline: pricing.at } };
  const flags = { "outbound-listen": "127.0.0.1:0" };
  const proxy = await startProxy({ baseline, callees, flags, limits, known: ["jane-42"] });
  return { proxy, pricing };
}

function traced(trace: number): string[] {
  const id = trace.toString(16).padStart(32, "0");
  return [`traceparent: 00-${id}-00000000000000aa-01`];
}

async function call(proxy: TestProxy, trace: number): Promise<void> {
  const lines = ["GET / HTTP/1.1", "host: pricing", ...traced(trace)];
  await sendRaw(proxy.outboundPort, `${lines.join("\r\n")}\r\n\r\n`);
}

const REACH: Readonly<Record<keyof Limits, Reach>> = {
  headBytesMax: edge("headBytesMax", 300, "head-too-large", headOf),
  requestLineBytesMax: edge("requestLineBytesMax", 300, "target-too-long", (n) => {
    const around = "GET / HTTP/1.1\r\n".length;
    return `GET /${"x".repeat(n - around)} HTTP/1.1\r\nHost: a\r\n\r\n`;
  }),
  headFieldsMax: edge("headFieldsMax", 10, "head-too-large", (n) => {
    return `GET / HTTP/1.1\r\nHost: a\r\n${"X: 1\r\n".repeat(n - 1)}\r\n`;
  }),
  interimResponsesMax: async () => {
    const { plane } = await start({ interimResponsesMax: 2 }, (request) => {
      const interims = Number(/GET \/(\d)/.exec(request.head)?.[1]);
      return "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(interims) + OK;
    });
    expect(await answerTo(plane, GET.replace("/", "/2"))).toBe("200");
    expect(await answerTo(plane, GET.replace("/", "/3"))).toBe("upstream-head-too-large");
  },
  chunkExtensionBytesMax: edge("chunkExtensionBytesMax", 20, "body-malformed", (n) => {
    return `${CHUNKED}1;${"x".repeat(n)}\r\na\r\n0\r\n\r\n`;
  }),
  chunkExtensionsBytesMax: edge("chunkExtensionsBytesMax", 20, "body-malformed", (n) => {
    return `${CHUNKED}${"1;x\r\na\r\n".repeat(n)}0\r\n\r\n`;
  }),
  trailerBytesMax: edge("trailerBytesMax", 100, "trailers-too-large", (n) => {
    return `${CHUNKED}0\r\nX: ${"x".repeat(n - 7)}\r\n\r\n`;
  }),
  trailerFieldsMax: edge("trailerFieldsMax", 3, "trailers-too-large", (n) => {
    return `${CHUNKED}0\r\n${"X: 1\r\n".repeat(n)}\r\n`;
  }),

  bufferedBytesMax: async () => {
    const { sockets, reply } = held();
    const { plane } = await start({ bufferedBytesMax: 1_024 }, reply);
    const socket = connect({ host: "127.0.0.1", port: plane.port });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    // More than the kernel takes: what is left with the writer is what the proxy does not read.
    socket.write(Buffer.alloc(32 * 1024 * 1024, GET));
    await wait(3 * SOON_MS);
    expect(socket.writableLength).toBeGreaterThan(0);
    sockets[0]?.write(OK);
    await expect.poll(() => sockets.length).toBe(2);
  },
  drainedBodyBytesMax: async () => {
    const baseline = await listenRaw((socket) => {
      socket.on("data", (bytes) => {
        if (bytes.includes("HTTP/1.1")) socket.write(OK);
      });
    });
    const plane = await startDataPlane({ baseline, limits: { drainedBodyBytesMax: 10 } });
    const within = await open(plane);
    within.write(`${CHUNKED}1\r\na\r\n`);
    expect((await within.response()).status).toBe(200);
    within.write(`a\r\n${"x".repeat(10)}\r\n0\r\n\r\n${GET}`);
    expect((await within.response()).status).toBe(200);
    const past = await open(plane);
    past.write(`${CHUNKED}1\r\na\r\n`);
    expect((await past.response()).status).toBe(200);
    past.write(`b\r\n${"x".repeat(11)}\r\n0\r\n\r\n${GET}`);
    await past.until(() => false);
    expect([past.text, past.closed]).toEqual(["", "ended"]);
    // Of a length that was declared it is known beforehand, so the caller is told.
    for (const [missing, told] of [
      [10, undefined],
      [11, "close"],
    ] as const) {
      const declared = await open(plane);
      declared.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${1 + missing}\r\n\r\na`);
      expect((await declared.response()).fields["connection"]).toBe(told);
      declared.write(`${"x".repeat(missing)}${GET}`);
      await declared.until(() => declared.text.includes("ok"));
      expect(declared.text === "").toBe(told === "close");
    }
  },
  drainedBodyMs: async () => {
    const baseline = await listenRaw((socket) => void socket.once("data", () => socket.write(OK)));
    const clock = new HandClock();
    const plane = await startDataPlane({ baseline, limits: { drainedBodyMs: 60_000 }, clock });
    const connection = await open(plane);
    connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1");
    expect((await connection.response()).status).toBe(200);
    clock.ms += 59_999;
    plane.ticker.tick();
    // Whoever comes later is served first, so it would be closed by now.
    await get(plane.port);
    expect(connection.closed).toBe("open");
    clock.ms += 1;
    plane.ticker.tick();
    await connection.until(() => false);
    expect(connection.closed).toBe("ended");
  },
  replayBodyBytesMax: async () => {
    const { plane, baseline } = await start({ replayBodyBytesMax: 10 }, (request, socket) => {
      if (request.connection % 2 === 1 || request.body === "") return OK;
      socket.destroy();
      return null;
    });
    await get(plane.port);
    const within = await get(plane.port, { method: "PUT", body: "x".repeat(10) });
    expect([within.status, baseline.connections]).toEqual([200, 2]);
    const other = await start({ replayBodyBytesMax: 10 }, (request, socket) => {
      if (request.body !== "") socket.destroy();
      return OK;
    });
    await get(other.plane.port);
    const past = await get(other.plane.port, { method: "PUT", body: "x".repeat(11) });
    expect([past.status, other.baseline.connections]).toEqual([502, 1]);
  },

  headTimeoutMs: async () => {
    const { plane } = await start({ headTimeoutMs: SOON_MS });
    expect(await answerTo(plane, "GET / HTTP/1.1\r\n")).toBe("head-timeout");
    // A response that trickles has no more time than one that stops, also behind an interim one.
    for (const begun of ["HTTP/1.1 20", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 2"]) {
      const trickling: Reply = (_request, socket) => {
        const drip = setInterval(() => socket.write("0"), SOON_MS / 4);
        socket.on("close", () => clearInterval(drip)).on("error", () => {});
        return begun;
      };
      const slow = await start({ headTimeoutMs: SOON_MS }, trickling);
      const connection = await open(slow.plane);
      connection.write(GET);
      await connection.until(() => connection.text.includes("upstream-timeout"));
      expect(connection.text).toContain("HTTP/1.1 504 ");
    }
  },
  bodyIdleMs: async () => {
    const { plane } = await start({ bodyIdleMs: SOON_MS });
    expect(await answerTo(plane, `${CHUNKED}5\r\nhe`)).toBe("body-timeout");
  },
  downstreamIdleMs: async () => {
    const { plane } = await start({ downstreamIdleMs: SOON_MS });
    const connection = await open(plane);
    connection.write(GET);
    expect((await connection.response()).status).toBe(200);
    await connection.until(() => false);
    expect([connection.text, connection.closed]).toEqual(["", "ended"]);
  },
  upstreamIdleMs: async () => {
    const { plane } = await start({ upstreamIdleMs: 4 * SOON_MS });
    await get(plane.port);
    expect(plane.pool.connections).toBe(1);
    await expect.poll(() => plane.pool.connections).toBe(0);
  },
  upstreamFreshMs: async () => {
    const limits = { upstreamFreshMs: 3_000, upstreamIdleMs: 60_000 };
    const clock = new HandClock();
    const { plane, baseline } = await start(limits, OK, clock);
    const ask = async (ms: number, method: string) => {
      clock.ms += ms;
      plane.ticker.tick();
      await get(plane.port, { method });
      return baseline.connections;
    };
    expect([await ask(0, "GET"), await ask(3_000, "POST"), await ask(3_001, "PUT")]).toEqual([
      1, 1, 1,
    ]);
    expect(await ask(3_001, "POST")).toBe(2);
  },
  connectLocalMs: async () => {
    const limits = { connectLocalMs: 60_000, connectMs: 90_000, upstreamWaitMs: 90_000 };
    const clock = new HandClock();
    const baseline = await startDeafUpstream();
    const plane = await startDataPlane({ baseline, limits, clock });
    expect(await faultsAfter(plane, clock, 60_000)).toEqual(["connect-timeout"]);
  },
  connectMs: async () => {
    const limits = { connectLocalMs: 30_000, connectMs: 60_000, upstreamWaitMs: 90_000 };
    const clock = new HandClock();
    // The same machine by an address that is not known to be.
    const baseline = (await startDeafUpstream()).replace("127.0.0.1", "0.0.0.0");
    const plane = await startDataPlane({ baseline, limits, clock });
    expect(await faultsAfter(plane, clock, 60_000)).toEqual(["connect-timeout"]);
  },
  responseMs: async () => {
    const { plane } = await start({ responseMs: SOON_MS }, () => null);
    expect(await answerTo(plane, GET)).toBe("upstream-timeout");
  },
  exchangeMs: async () => {
    const silent = await start({ exchangeMs: SOON_MS }, () => null);
    expect(await answerTo(silent.plane, GET)).toBe("exchange-timeout");
    expect(await answerTo(silent.plane, `${CHUNKED}5\r\nhe`)).toBe("exchange-timeout");
    // Too late for an answer: what has begun does not look whole.
    const chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    const streaming = await start({ exchangeMs: SOON_MS }, () => chunk);
    const connection = await open(streaming.plane);
    connection.write(GET);
    await connection.until(() => false);
    expect([connection.text.split("\r\n\r\n")[1], connection.closed]).toEqual([
      "2\r\nok\r\n",
      "ended",
    ]);
  },
  peerProbeMs: async () => {
    const { sockets, reply } = held();
    const { plane } = await start({ peerProbeMs: 60_000 }, reply);
    const connection = await open(plane);
    connection.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    // That peers which vanish are found by it is shown in test/intercept, where they can.
    // Until what was sent is acknowledged another timer runs.
    for (const port of [sockets[0]?.remotePort ?? 0, plane.port]) {
      await expect.poll(async () => probesIn(await kernelTimer(port))).toBeLessThanOrEqual(60);
      expect(probesIn(await kernelTimer(port))).toBeGreaterThan(DEFAULT_LIMITS.peerProbeMs / 1_000);
    }
  },
  tunnelIdleMs: async () => {
    const { plane } = await start(
      { tunnelIdleMs: 2 * SOON_MS },
      "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    const connection = await open(plane);
    connection.write(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect((await connection.response()).status).toBe(101);
    await connection.until(() => false);
    await expect.poll(() => plane.recorded.length).toBe(1);
    expect(plane.recorded).toMatchObject([{ status: 101, closedBy: "proxy" }]);
    await expect.poll(() => [plane.pool.connections, plane.ticker.size]).toEqual([0, 0]);
  },

  downstreamConnectionsMax: async () => {
    const { plane } = await start({ downstreamConnectionsMax: 1 });
    const first = await open(plane);
    first.write(GET);
    expect((await first.response()).status).toBe(200);
    expect(await answerTo(plane, "")).toBe("connection-limit");
    first.close();
    await expect.poll(() => plane.listener.connections).toBe(0);
    expect(await answerTo(plane, GET)).toBe("200");
  },
  upstreamConnectionsMax: async () => {
    const { sockets, reply } = held();
    const { plane, baseline } = await start({ upstreamConnectionsMax: 1 }, reply);
    const [first, second] = await Promise.all([open(plane), open(plane)]);
    first.write(GET);
    second.write(GET);
    await expect.poll(() => [sockets.length, plane.pool.waiting]).toEqual([1, 1]);
    sockets[0]?.write(OK);
    await expect.poll(() => sockets.length).toBe(2);
    expect(baseline.connections).toBe(1);
  },
  upstreamWaitingMax: async () => {
    const { sockets, reply } = held();
    const { plane } = await start({ upstreamConnectionsMax: 1, upstreamWaitingMax: 1 }, reply);
    const [first, second] = await Promise.all([open(plane), open(plane)]);
    first.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    second.write(GET);
    await expect.poll(() => plane.pool.waiting).toBe(1);
    expect(await answerTo(plane, GET)).toBe("pool-full");
  },
  upstreamWaitMs: async () => {
    const { sockets, reply } = held();
    const limits = { upstreamConnectionsMax: 1, upstreamWaitMs: 60_000 };
    const clock = new HandClock();
    const { plane } = await start(limits, reply, clock);
    const first = await open(plane);
    first.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    (await open(plane)).write(GET);
    await expect.poll(() => plane.pool.waiting).toBe(1);
    for (const [step, waiting] of [
      [59_999, 1],
      [1, 0],
    ] as const) {
      clock.ms += step;
      plane.ticker.tick();
      expect(plane.pool.waiting).toBe(waiting);
    }
    expect(plane.recorded.map(({ fault }) => fault)).toEqual(["pool-full"]);
    expect(plane.pool.connections).toBe(1);
  },
  endpointSkipMs: async () => {
    const jane = await startUpstream(OK);
    const routes = {
      "jane-42": {
        sandbox: "jane",
        endpoints: [NOBODY, jane.at],
        onUnavailable: "fail" as const,
      },
    };
    const clock = new HandClock();
    const plane = await startDataPlane({
      baseline: NOBODY,
      table: { revision: 1, routes, known: [] },
      limits: { endpointSkipMs: 3_000 },
      clock,
    });
    const { route } = plane.context.table.routes.get("jane-42") ?? {};
    if (route === null || route === undefined) throw new Error("no route");
    const goesTo = () => plane.context.choice.choose(route, [], plane.ticker.nowMs);
    for (let i = 0; i < 2; i++) await get(plane.port, { tag: "jane-42" });
    clock.ms += 2_999;
    plane.ticker.tick();
    for (let i = 0; i < 4; i++) expect(goesTo()).toBe(jane.at);
    clock.ms += 1;
    plane.ticker.tick();
    expect([goesTo(), goesTo()]).toContain(NOBODY);
  },
  readBufferBytes: async () => {
    // What one read brings of a body without length becomes one chunk.
    const body = "x".repeat(20_000);
    const reply: Reply = (_request, socket) => {
      socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
      return null;
    };
    const largestChunk = async (limits: Partial<Limits>) => {
      const { text } = await get((await start(limits, reply)).plane.port);
      const sizes = [...text.matchAll(/\r\n([0-9a-f]+)\r\n(?=x)/g)];
      return Math.max(...sizes.map(([, size = ""]) => Number.parseInt(size, 16)));
    };
    expect(await largestChunk({ readBufferBytes: 1_024 })).toBe(1_024);
    expect(await largestChunk({})).toBeGreaterThan(1_024);
  },

  memoryClosePercent: async () => {
    const { plane } = await start({ memoryClosePercent: 50 });
    new MemoryPressure(plane.context.limits, [plane.context], () => 49).tick(0);
    expect((await get(plane.port)).fields["connection"]).toBeUndefined();
    new MemoryPressure(plane.context.limits, [plane.context], () => 50).tick(0);
    expect((await get(plane.port)).fields["connection"]).toBe("close");
  },
  memoryRefusePercent: async () => {
    const { plane } = await start({ memoryRefusePercent: 50 });
    const connected = await open(plane);
    await expect.poll(() => plane.listener.connections).toBe(1);
    new MemoryPressure(plane.context.limits, [plane.context], () => 50).tick(0);
    connected.write(GET);
    expect((await connected.response()).fields["forklane-fault"]).toMatch(/^overloaded;/);
    expect(await answerTo(plane, "")).toBe("overloaded");
    new MemoryPressure(plane.context.limits, [plane.context], () => 49).tick(0);
    expect(await answerTo(plane, GET)).toBe("200");
  },

  detectMs: async () => {
    const baseline = await listenRaw((socket) => void socket.write("220"));
    const plane = await startRedirected(baseline, { detectMs: SOON_MS });
    const connection = await open(plane);
    await connection.until((seen) => seen === "220");
    expect(plane.listener.passedCalls.silent).toBe(1);
  },
  passConnectMs: async () => {
    const plane = await startRedirected(await startDeafUpstream(), { passConnectMs: SOON_MS });
    const connection = await open(plane);
    connection.write("{");
    await connection.until(() => false);
    expect(connection.closed).toBe("reset");
  },
  affinityTracesMax: async () => {
    const { proxy, pricing } = await startBothSides({ affinityTracesMax: 2 });
    for (const trace of [1, 2, 3]) await get(proxy.port, { tag: "jane-42", fields: traced(trace) });
    for (const trace of [1, 2, 3]) await call(proxy, trace);
    expect(pricing.requests.map(({ head }) => /sandbox=jane-42/.test(head))).toEqual([
      false,
      true,
      true,
    ]);
  },
  affinityTtlMs: async () => {
    const { proxy, pricing } = await startBothSides({ affinityTtlMs: SOON_MS });
    await get(proxy.port, { tag: "jane-42", fields: traced(1) });
    await wait(2 * SOON_MS);
    await call(proxy, 1);
    expect(pricing.requests[0]?.head).not.toContain("sandbox=");
  },
  drainAcceptMs: async () => {
    const { plane } = await start({ drainAcceptMs: 60_000, drainMs: 120_000 });
    const first = await open(plane);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(async () => {
      await vi.runAllTimersAsync();
      vi.useRealTimers();
    });
    const drained = plane.listener.drain();
    await vi.advanceTimersByTimeAsync(59_999);
    const second = await open(plane);
    second.write(GET);
    expect((await second.response()).fields["connection"]).toBe("close");
    expect(first.closed).toBe("open");
    for (const connection of [first, second]) connection.close();
    await expect.poll(() => plane.listener.connections).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await drained).toBe(0);
    await expect(Connection.open(plane.port)).rejects.toThrow("ECONNREFUSED");
  },
  retireMs: async () => {
    const { plane } = await start({ retireMs: SOON_MS, drainedBodyMs: 1 });
    const idle = await open(plane);
    idle.write(GET);
    expect((await idle.response()).status).toBe(200);
    // As proxy/supervisor does it with a worker that is replaced.
    await plane.listener.drain({ accepts: false, withinMs: plane.context.limits.retireMs });
    await idle.until(() => false);
    expect([idle.closed, plane.listener.closedUntold]).toEqual(["ended", 1]);
  },
  drainMs: async () => {
    const { sockets, reply } = held();
    const { plane } = await start({ drainMs: SOON_MS }, reply);
    const connection = await open(plane);
    connection.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    expect(await plane.listener.drain()).toBe(1);
    await connection.until(() => false);
    expect(connection.text).toContain("forklane-fault: draining");
  },
};

test.each(Object.keys(DEFAULT_LIMITS) as (keyof Limits)[])("%s is a limit", async (name) => {
  await REACH[name]();
});

test("a caller that is not read from, and leaves, is let go of in time", async () => {
  const limits = { bufferedBytesMax: 1_024, bodyIdleMs: 2 * SOON_MS };
  const { sockets, reply } = held();
  const { plane } = await start(limits, reply);
  const connection = await open(plane);
  connection.write(GET + GET.repeat(10_000));
  await expect.poll(() => sockets.length).toBe(1);
  // What waits is past the limit, so nobody sees this.
  connection.socket.resetAndDestroy();
  await expect.poll(() => plane.listener.connections).toBe(0);
  await expect.poll(() => plane.pool.connections).toBe(0);
});

test.each([
  ["a quarter of the connections, where these are few", 8, 2],
  ["128", 10_000, 128],
])("of those who are refused at a time %s are told", async (_, downstreamConnectionsMax, told) => {
  const limits = { downstreamConnectionsMax, drainedBodyMs: 60_000 };
  const { plane } = await start(limits);
  plane.context.overload = "refuses";
  const seen = { told: 0, reset: 0 };
  for (let i = 0; i < told + 2; i++) {
    // Its own end stays open, so that it goes on being refused.
    const socket = connect({ host: "127.0.0.1", port: plane.port, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.once("data", () => seen.told++);
    socket.once("error", () => seen.reset++);
  }
  await expect.poll(() => seen).toEqual({ told, reset: 2 });
});
