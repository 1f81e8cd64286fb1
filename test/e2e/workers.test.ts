/** A proxy of several processes is one proxy to control and to whoever asks its admin. */
import { expect, onTestFinished, test, vi } from "vitest";
import type { HopRecord } from "../../core/hop-record.ts";
import { FakeControl } from "../../proxy/watch/control.fake.ts";
import { get } from "../harness/client.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** Processes start, on a busy machine. */
const START = { timeout: 60_000 };
vi.setConfig({ testTimeout: 120_000 });
const WORKERS = 2;

const workloads = { "shop/cart": { routes: {} } };

async function startControl(): Promise<FakeControl> {
  const control = new FakeControl();
  await control.start();
  onTestFinished(() => control.kill());
  control.onWatch = (watch) =>
    control.sendSnapshot("e.1", { workloads, known: ["jane-42"] }, watch);
  return control;
}

async function startWorkers(control: FakeControl): Promise<ProxyProcess> {
  const baseline = (await startUpstream(response("ok"))).at;
  const flags = {
    table: "",
    control: control.url,
    instance: "cart-1",
    workers: String(WORKERS),
  };
  return await ProxyProcess.start({ baseline, flags, limits: { drainAcceptMs: 50 } });
}

async function workersOf({ admin }: ProxyProcess): Promise<{ process: number }[]> {
  const config = await (await fetch(`${admin}/config`)).json();
  return (config as { processes: { process: number }[] }).processes;
}

/** Asks with a tag until each worker has served some. */
async function askAll(proxy: ProxyProcess, times: number): Promise<void> {
  const one = async () => expect((await get(proxy.port, { tag: "jane-42" })).status).toBe(200);
  await Promise.all(Array.from({ length: times }, one));
}

test("control sees one proxy, which has applied a table when all of its workers have", async () => {
  const control = await startControl();
  const proxy = await startWorkers(control);
  await expect.poll(() => control.lastStatus?.applied, START).toEqual(["e.1", "e.1"]);
  expect(control.watches.length).toBe(1);

  const [frozen] = await workersOf(proxy);
  process.kill(frozen?.process ?? 0, "SIGSTOP");
  const before = control.statuses.length;
  control.sendSnapshot("e.2", { workloads, known: ["jane-42", "pr-7"] });
  // The interval's status says how far each is; none is sent for a table that one does not have.
  await expect.poll(() => control.lastStatus?.applied.toSorted(), START).toEqual(["e.1", "e.2"]);
  process.kill(frozen?.process ?? 0, "SIGCONT");
  await expect.poll(() => control.lastStatus?.applied, START).toEqual(["e.2", "e.2"]);
  expect(new Set(control.statuses.slice(before).map(({ workloads }) => workloads[0]))).toEqual(
    new Set(["shop/cart"]),
  );
  control.send("keys", { added: ["pr-8"], removed: [], expired: ["pr-7"] }, "e.3");
  await expect.poll(() => control.lastStatus?.applied, START).toEqual(["e.3", "e.3"]);
  const reasons = async () => (await get(proxy.port, { tag: "pr-8!" })).status;
  expect(await Promise.all(Array.from({ length: 20 }, reasons))).toEqual(Array(20).fill(200));
  const explained = await fetch(`${proxy.admin}/explain`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ headers: { baggage: "sandbox=pr-8" } }),
  });
  expect(await explained.json()).toMatchObject({ reason: "not-forked", revision: "e.3" });
});

test("a flush is answered once, when no worker holds a record any more", async () => {
  const control = await startControl();
  const proxy = await startWorkers(control);
  await askAll(proxy, 40);
  control.send("flush", { flush: "f1" });
  const answers = () => control.batches.filter(({ batch }) => batch.flush === "f1");
  await expect.poll(() => answers().length, START).toBe(1);
  const records = control.records as readonly HopRecord[];
  expect(records.length).toBe(40);
  expect(new Set(records.map((it) => it.proxy))).toEqual(new Set(["cart-1"]));
  expect(new Set(control.batches.map(({ batch }) => batch.proxy))).toEqual(new Set(["cart-1"]));
  expect(control.batches.flatMap(({ batch }) => Object.keys(batch.dropped))).toEqual([]);

  // With one that does not answer the flush has no answer: control knows that it does not know all.
  const [frozen] = await workersOf(proxy);
  process.kill(frozen?.process ?? 0, "SIGSTOP");
  control.send("flush", { flush: "f2" });
  const scraped = await proxy.metric("forklane_workers");
  expect(scraped).toBe(WORKERS);
  expect(control.batches.some(({ batch }) => batch.flush === "f2")).toBe(false);
  // Killed, it took with it what nobody knows: the flush is answered, and says so.
  process.kill(frozen?.process ?? 0, "SIGKILL");
  await expect
    .poll(() => control.batches.find(({ batch }) => batch.flush === "f2")?.batch, START)
    .toMatchObject({ proxy: "cart-1", dropped: { "*": 1 } });
});

test("what a worker holds that is replaced while control takes nothing is not lost", async () => {
  const control = await startControl();
  const proxy = await startWorkers(control);
  control.hopsStatus = 503;
  await askAll(proxy, 40);
  const former = await workersOf(proxy);
  proxy.signal("SIGHUP");
  const isAnyLeft = async () => {
    const left = (await workersOf(proxy)).map((it) => it.process);
    return former.some((it) => left.includes(it.process));
  };
  await expect.poll(isAnyLeft, START).toBe(false);
  control.hopsStatus = 0;
  await expect.poll(() => control.records.length, START).toBe(40);
  expect(control.batches.flatMap(({ batch }) => Object.keys(batch.dropped))).toEqual([]);
});

test("what workers counted and saw is summed, and told at the end", async () => {
  const control = await startControl();
  const proxy = await startWorkers(control);
  await askAll(proxy, 30);
  const name =
    'forklane_exchanges_total{workload="shop/cart",outcome="baseline",reason="not-forked"}';
  // A worker that does not answer within a second counts with what it said last.
  await expect.poll(() => proxy.metric(name), START).toBe(30);
  expect(await proxy.metric("forklane_workers")).toBe(WORKERS);
  proxy.signal("SIGTERM");
  expect(await proxy.exit).toBe(0);
  expect(control.lastStatus).toMatchObject({ leaving: true, counters: { exchanges: 30 } });
  expect(control.records.length).toBe(30);
  expect(control.statuses.some(({ lastSeen }) => "jane-42" in lastSeen)).toBe(true);
});

test("calls of a service are taken by several processes, too", async () => {
  const fork = await startUpstream(response("fork"));
  const pricing = {
    hosts: ["shop.test"],
    routes: { "jane-42": { sandbox: "jane", endpoints: [fork.at] } },
  };
  const control = new FakeControl();
  await control.start();
  onTestFinished(() => control.kill());
  const calls = { ...workloads, "shop/pricing": pricing };
  control.onWatch = (watch) => control.sendSnapshot("e.1", { workloads: calls, known: [] }, watch);
  const flags = { mode: "outbound", table: "", control: control.url, workers: String(WORKERS) };
  const proxy = await ProxyProcess.start({ baseline: "", flags, limits: { drainAcceptMs: 50 } });
  const asks = Array.from({ length: 20 }, () => get(proxy.port, { tag: "jane-42" }));
  expect((await Promise.all(asks)).map(({ body }) => body)).toEqual(asks.map(() => "fork"));
  expect((await get(proxy.port)).fields["forklane-fault"]).toContain("destination-unknown");
  const explained = await fetch(`${proxy.admin}/explain`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ headers: { baggage: "sandbox=jane-42" }, callee: "shop.test:80" }),
  });
  expect(await explained.json()).toMatchObject({ workload: "shop/pricing", reason: "fork" });
  await expect
    .poll(() => control.lastStatus, START)
    .toMatchObject({ mode: "outbound", workloads: [] });
});
