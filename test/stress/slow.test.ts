import { describe, expect, test } from "vitest";
import { get } from "../harness/client.ts";
import { listenRaw } from "../harness/data-plane.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";
import { Crowd } from "./crowd.ts";
import { withinMib } from "./memory.ts";

const PATIENCE = { timeout: 40_000 };
const MANY = 1_000;

async function start(limits: Readonly<Record<string, number>>, baseline?: string) {
  const at = baseline ?? (await startUpstream(response("ok"))).at;
  return await ProxyProcess.start({ baseline: at, limits });
}

const CONNECTIONS = "forklane_downstream_connections";
const faults = (code: string) => `forklane_faults_total{code="${code}"}`;

describe("a thousand callers", () => {
  test("that drip their heads are answered 408, and others are served meanwhile", async () => {
    // Who drips on is not reset while its answer may be unread.
    const proxy = await start({ headTimeoutMs: 3_000, drainedBodyMs: 30_000 });
    await withinMib(proxy, 96, async () => {
      const crowd = await Crowd.connect(proxy.port, MANY);
      crowd.write("GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ");
      const stop = crowd.drip("x", 300);
      expect((await get(proxy.port)).status).toBe(200);
      await expect.poll(() => crowd.answered(408), PATIENCE).toBe(MANY);
      stop();
      await expect.poll(() => crowd.open, PATIENCE).toBe(0);
      expect((await get(proxy.port)).status).toBe(200);
    });
    expect(await proxy.metric(faults("head-timeout"))).toBe(MANY);
    await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
  });

  test("that drip their bodies hold little, are answered 408 when they stop, and free the upstream", async () => {
    const proxy = await start({ bodyIdleMs: 3_000 });
    await withinMib(proxy, 256, async () => {
      const crowd = await Crowd.connect(proxy.port, MANY);
      crowd.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
      const stop = crowd.drip("x", 300);
      expect((await get(proxy.port)).status).toBe(200);
      stop();
      await expect.poll(() => crowd.answered(408), PATIENCE).toBe(MANY);
    });
    expect(await proxy.metric(faults("body-timeout"))).toBe(MANY);
    await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
  });
});

test("callers that ask for 64 MB each and read none of it hold little, and are closed in time", async () => {
  const piece = Buffer.alloc(1024 * 1024, "x");
  const baseline = await listenRaw((socket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * piece.length}\r\n\r\n`);
      let left = 64;
      const go = (): void => {
        while (left-- > 0 && !socket.destroyed) if (!socket.write(piece)) return;
      };
      socket.on("drain", go);
      go();
    });
  });
  const proxy = await start({ bodyIdleMs: 3_000 }, baseline);
  await withinMib(proxy, 128, async () => {
    const crowd = await Crowd.connect(proxy.port, 100);
    crowd.stopReading();
    crowd.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => proxy.metric(faults("body-timeout")), PATIENCE).toBe(100);
  });
  await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
});

test("bodies of 64 MB to a service that reads none of them hold little", async () => {
  const baseline = await listenRaw((socket) => socket.pause());
  const proxy = await start({ bodyIdleMs: 3_000 }, baseline);
  await withinMib(proxy, 256, async () => {
    const crowd = await Crowd.connect(proxy.port, 100);
    crowd.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`);
    crowd.flood(Buffer.alloc(1024 * 1024, "x"), 64);
    await expect.poll(() => crowd.answered(504), PATIENCE).toBe(100);
  });
  await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
});
