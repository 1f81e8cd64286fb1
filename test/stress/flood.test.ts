import { describe, expect, test } from "vitest";
import { Connection, get } from "../harness/client.ts";
import { listenRaw } from "../harness/data-plane.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";
import { Crowd } from "./crowd.ts";
import { withinMib } from "./memory.ts";

const PATIENCE = { timeout: 40_000 };
const CONNECTIONS = "forklane_downstream_connections";
const faults = (code: string) => `forklane_faults_total{code="${code}"}`;
const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
/**
 * Each costs a second of reading chunks: few, so that a busy machine is through in time. What they may
 * hold is 4 MiB each above the 50 that the process takes for any load.
 */
const CALLERS = 12;
const ONE_BYTE_CHUNKS = Buffer.from("1\r\nx\r\n".repeat(10_000), "latin1");

describe("chunks of one byte", () => {
  test("arrive whole, both ways", async () => {
    const baseline = await listenRaw((socket) => {
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        if (!text.endsWith("0\r\n\r\n")) return;
        const content = text.slice(text.indexOf("\r\n\r\n") + 4).match(/x/g)?.length ?? 0;
        const head = `HTTP/1.1 200 OK\r\nX-Content: ${content}\r\nTransfer-Encoding: chunked\r\n\r\n`;
        socket.write(head);
        socket.write(ONE_BYTE_CHUNKS);
        socket.write("0\r\n\r\n");
      });
    });
    const proxy = await ProxyProcess.start({ baseline });
    await withinMib(proxy, 128, async () => {
      const connection = await Connection.open(proxy.port);
      connection.write(CHUNKED);
      for (let i = 0; i < 10; i++) connection.socket.write(ONE_BYTE_CHUNKS);
      connection.write("0\r\n\r\n");
      const seen = await connection.response();
      expect([seen.fields["x-content"], seen.body]).toEqual(["100000", "x".repeat(10_000)]);
      connection.close();
    });
  });

  test("for a service that reads nothing hold little", async () => {
    const baseline = await listenRaw((socket) => socket.pause());
    const proxy = await ProxyProcess.start({ baseline, limits: { bodyIdleMs: 3_000 } });
    await withinMib(proxy, 96, async () => {
      const crowd = await Crowd.connect(proxy.port, CALLERS);
      crowd.write(CHUNKED);
      crowd.flood(ONE_BYTE_CHUNKS, 1_000);
      await expect.poll(() => crowd.answered(504), PATIENCE).toBe(CALLERS);
    });
  });

  test("for a caller that reads nothing hold little", async () => {
    const baseline = await listenRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const go = (): void => {
        while (!socket.destroyed) if (!socket.write(ONE_BYTE_CHUNKS)) return;
      };
      socket.on("drain", go);
      socket.once("data", go);
    });
    const proxy = await ProxyProcess.start({ baseline, limits: { bodyIdleMs: 3_000 } });
    await withinMib(proxy, 96, async () => {
      const crowd = await Crowd.connect(proxy.port, CALLERS);
      crowd.stopReading();
      crowd.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await expect.poll(() => proxy.metric(faults("body-timeout")), PATIENCE).toBe(CALLERS);
    });
  });

  test("that wait for a connection, or may be sent once more, hold little", async () => {
    const baseline = await listenRaw(() => undefined);
    const limits = { upstreamConnectionsMax: 25, upstreamWaitMs: 4_000, responseMs: 4_000 };
    const proxy = await ProxyProcess.start({ baseline, limits });
    await withinMib(proxy, 72, async () => {
      const crowd = await Crowd.connect(proxy.port, 100);
      crowd.write(CHUNKED);
      // Below the 64 KiB of content that are kept.
      crowd.flood(ONE_BYTE_CHUNKS, 6);
      await expect.poll(() => crowd.answered(503), PATIENCE).toBe(75);
      crowd.write("0\r\n\r\n");
      await expect.poll(() => crowd.answered(504), PATIENCE).toBe(25);
    });
  });
});

test("heads without an end are answered 431 at the limit", async () => {
  const baseline = await startUpstream(response("ok"));
  const proxy = await ProxyProcess.start({ baseline: baseline.at });
  await withinMib(proxy, 320, async () => {
    const crowd = await Crowd.connect(proxy.port, 500);
    crowd.write("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    crowd.flood(Buffer.alloc(64 * 1024, "x"), 64);
    await expect.poll(() => crowd.open, PATIENCE).toBe(0);
    expect((await get(proxy.port)).status).toBe(200);
  });
  expect(await proxy.metric(faults("head-too-large"))).toBe(500);
  expect(baseline.requests).toHaveLength(1);
});

test.each([
  ["requests", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(4_096)],
  ["refused requests", "GET / HTTP/1.1\r\nHost: a\r\nbaggage: sandbox=nobodys!\r\n\r\n", ""],
])("pipelined %s whose answers nobody reads hold little", async (_what, request, body) => {
  const baseline = await startUpstream(response(body));
  const proxy = await ProxyProcess.start({ baseline: baseline.at, limits: { bodyIdleMs: 3_000 } });
  await withinMib(proxy, 128, async () => {
    const crowd = await Crowd.connect(proxy.port, 20);
    crowd.stopReading();
    crowd.flood(Buffer.from(request.repeat(1_000), "latin1"), 1_000);
    await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
    expect((await get(proxy.port)).status).toBe(200);
  });
});
