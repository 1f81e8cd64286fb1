import { expect, test } from "vitest";
import { FakeClock, limitsWith, statusOf } from "./control.fake.ts";
import { Expiry } from "./expire.ts";
import type { ControlLimits } from "./model/limits.ts";
import type { SandboxSpec } from "./model/sandbox.ts";
import { MemoryStore } from "./store/memory/store.ts";
import { commitTo, putSandbox } from "./store/store.cases.ts";
import { Proxies } from "./watch/proxies.ts";

function setUp(smaller: Partial<ControlLimits> = {}) {
  const limits = limitsWith(smaller);
  const clock = new FakeClock();
  const store = new MemoryStore(limits);
  const proxies = new Proxies(store.epoch, () => true, limits, clock);
  const expiry = new Expiry(store, proxies, limits, clock);
  const put = (name: string, spec: Partial<SandboxSpec>) =>
    commitTo(store, putSandbox(name, spec, { nowMs: clock.epochMs() }));
  const names = async () => {
    await expiry.sweep();
    return (await store.list("sandbox", { after: null, limit: 100 })).map((each) => each.name);
  };
  const tombstones = async () => (await store.read()).tombstones.map((each) => each.key);
  return { clock, proxies, put, names, tombstones };
}

test("a sandbox ends when its time is over, and its key is remembered for a day", async () => {
  const { clock, put, names, tombstones } = setUp();
  await put("short", { ttl: { max: "10s" } });
  await put("long", { ttl: { max: "1h" } });
  await put("forever", {});
  clock.advance(9_999);
  expect(await names()).toEqual(["forever", "long", "short"]);
  clock.advance(1);
  expect(await names()).toEqual(["forever", "long"]);
  expect(await tombstones()).toEqual(["short"]);
  clock.advance(24 * 60 * 60_000 - 1);
  await names();
  expect(await tombstones()).toEqual(["short", "long"]);
  clock.advance(1);
  await names();
  expect(await tombstones()).toEqual(["long"]);
});

test("a request with its key keeps an idle sandbox alive", async () => {
  const { clock, proxies, put, names } = setUp();
  clock.advance(30_000);
  await put("jane-42", { ttl: { idle: "1m" } });
  clock.advance(50_000);
  proxies.report("cart-1", statusOf({ lastSeen: { "jane-42": clock.epochMs() } }), "127.0.0.1");
  clock.advance(59_999);
  expect(await names()).toEqual(["jane-42"]);
  clock.advance(1);
  expect(await names()).toEqual([]);
});

test("after a start nothing is idle until every proxy could say what it saw", async () => {
  const { clock, put, names } = setUp();
  await put("jane-42", { ttl: { idle: "10s" } });
  clock.advance(20_000);
  expect(await names()).toEqual(["jane-42"]);
  clock.advance(1);
  expect(await names()).toEqual([]);
});

test("one look ends no more than its limit, the next one the rest", async () => {
  const { clock, put, names } = setUp({ expiriesPerSweepMax: 2 });
  for (const name of ["a-1", "b-1", "c-1"]) await put(name, { ttl: { max: "10s" } });
  clock.advance(10_000);
  expect(await names()).toHaveLength(1);
  expect(await names()).toHaveLength(0);
});
