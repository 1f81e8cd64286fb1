import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { Connection, get } from "../harness/client.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";
import { Crowd } from "./crowd.ts";
import { withinMib } from "./memory.ts";

const PATIENCE = { timeout: 40_000 };
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CONNECTIONS = "forklane_downstream_connections";
const faults = (code: string) => `forklane_faults_total{code="${code}"}`;

/** A baseline that answers when the test says so. */
async function startHeld() {
  const held: Socket[] = [];
  const upstream = await startUpstream((request, socket) => {
    if (request.head.startsWith("GET /now ")) return response("now");
    held.push(socket);
    return null;
  });
  const release = (): void => {
    for (const socket of held.splice(0)) socket.write(response("late"));
  };
  return { at: upstream.at, held, release };
}

test("ten times as many callers as there is room for: the first are served, the others refused at once", async () => {
  const baseline = await startHeld();
  const limits = { downstreamConnectionsMax: 100 };
  const proxy = await ProxyProcess.start({ baseline: baseline.at, limits });
  await withinMib(proxy, 64, async () => {
    const first = await Crowd.connect(proxy.port, 100);
    first.write(GET);
    await expect.poll(() => baseline.held.length, PATIENCE).toBe(100);
    const others = await Crowd.connect(proxy.port, 900);
    await expect.poll(() => others.open, PATIENCE).toBe(0);
    // Each was told, or reset where too many are being told at a time.
    expect(others.answered(503)).toBeGreaterThan(0);
    expect(others.answered(503) + others.answered(0)).toBe(900);
    expect(first.open).toBe(100);
    baseline.release();
    await expect.poll(() => first.answered(200), PATIENCE).toBe(100);
    expect(await proxy.metric(faults("connection-limit"))).toBe(900);
    first.close();
    await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
    expect((await get(proxy.port, { path: "/now" })).body).toBe("now");
  });
});

test("a process that may open few files lets half of them in, and serves on when they are used up", async () => {
  const baseline = await startHeld();
  const proxy = await ProxyProcess.start({ baseline: baseline.at, openFiles: 100 });
  const first = await Connection.open(proxy.port);
  first.write(GET);
  await expect.poll(() => baseline.held.length, PATIENCE).toBe(1);
  const crowd = await Crowd.connect(proxy.port, 300);
  crowd.write(GET);
  // Fifty in all are let in; who is past them is told, or turned away by the system.
  await expect.poll(() => crowd.open, PATIENCE).toBeLessThanOrEqual(49);
  baseline.release();
  expect((await first.response()).body).toBe("late");
  crowd.close();
  first.close();
  const answers = async () => (await get(proxy.port, { path: "/now" })).status;
  await expect.poll(() => answers().catch(() => 0), PATIENCE).toBe(200);
});

test("a heap that is nearly full refuses what is new", async () => {
  const baseline = await startUpstream(response("ok"));
  const limits = { memoryClosePercent: 1, memoryRefusePercent: 1 };
  // Any process uses one percent of so small a heap: what is read is real.
  const proxy = await ProxyProcess.start({ baseline: baseline.at, limits, heapMib: 64 });
  await expect
    .poll(async () => (await get(proxy.port)).fields["forklane-fault"], PATIENCE)
    .toBe("overloaded; by=shop/cart");
});

test("connections that come and go by the thousand leave nothing behind", async () => {
  const baseline = await startUpstream(response("ok"));
  const proxy = await ProxyProcess.start({ baseline: baseline.at });
  await churn(proxy, 2_000);
  await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
  await withinMib(proxy, 64, () => churn(proxy, 6_000));
  await expect.poll(() => proxy.metric(CONNECTIONS), PATIENCE).toBe(0);
  // Our own, admin's for the question, and idle ones to the baseline that soon go.
  await expect.poll(() => proxy.openFiles(), PATIENCE).toBeLessThan(60);
  expect(await proxy.metric("forklane_bugs_total")).toBe(0);
});

/** Callers that ask and leave, ask and reset, reset in mid-head, or say nothing. */
async function churn(proxy: ProxyProcess, connections: number): Promise<void> {
  for (let i = 0; i < connections; i += 100) {
    const crowd = await Crowd.connect(proxy.port, 100);
    const kind = (i / 100) % 4;
    if (kind < 2) crowd.write(GET);
    else if (kind === 2) crowd.write(GET.slice(0, 20));
    if (kind === 0) await expect.poll(() => crowd.answered(200), PATIENCE).toBe(100);
    for (const { socket } of crowd.callers) {
      if (kind === 0 || kind === 3) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}
