import { expect, onTestFinished, test, vi } from "vitest";
import { FakeClock, limitsWith, statusOf } from "../control.fake.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { Flushes } from "./flush.ts";
import { LiveTables } from "./live-tables.ts";
import { Proxies } from "./proxies.ts";
import { Watchers } from "./watchers.ts";

/** Two proxies that watch; `asked` collects the ids of the flushes that each was asked for. */
async function setUp() {
  const limits = limitsWith({});
  const clock = new FakeClock();
  const store = new MemoryStore(limits);
  const live = new LiveTables(store.epoch, await store.read(), limits, clock);
  const watchers = new Watchers(live, limits);
  const proxies = new Proxies(store.epoch, () => true, limits, clock);
  const flushes = new Flushes(watchers, proxies, limits);
  const asked: string[] = [];
  const join = (instance: string) => {
    proxies.report(instance, statusOf({}), "127.0.0.1");
    proxies.watching(instance);
    const write = (bytes: Buffer) => {
      const id = /"flush":"([^"]+)"/.exec(String(bytes))?.[1];
      if (id !== undefined) asked.push(id);
    };
    const sink = { write, queuedBytes: () => 0, drop: () => {} };
    watchers.open({ workloads: ["shop/cart"], namespace: null, lastRevision: null }, sink);
  };
  return { clock, proxies, flushes, asked, join, limits };
}

async function untilAsked(asked: readonly string[], count: number): Promise<string> {
  await expect.poll(() => asked.length).toBe(count);
  return asked.at(-1) ?? "";
}

test("a flush is over when every proxy has answered it by its name", async () => {
  const { flushes, asked, join } = await setUp();
  join("cart-1");
  join("cart-2");
  const outcome = flushes.flush();
  const id = await untilAsked(asked, 2);
  flushes.answered("another flush", "cart-1");
  flushes.answered(id, "cart-1");
  flushes.answered(id, "cart-1");
  flushes.answered(id, "cart-2");
  expect(await outcome).toEqual({ answered: ["cart-1", "cart-2"], silent: [] });
});

test("a proxy that does not answer in time is named", async () => {
  const { flushes, asked, join, limits } = await setUp();
  join("cart-1");
  join("cart-2");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const outcome = flushes.flush();
  vi.advanceTimersByTime(limits.flushGatherMs);
  flushes.answered(await untilAsked(asked, 2), "cart-1");
  vi.advanceTimersByTime(limits.flushMs);
  expect(await outcome).toEqual({ answered: ["cart-1"], silent: ["cart-2"] });
});

test("a proxy that counts and does not watch cannot be asked, and is named at once", async () => {
  const { flushes, proxies } = await setUp();
  proxies.report("cart-1", statusOf({}), "127.0.0.1");
  expect(await flushes.flush()).toEqual({ answered: [], silent: ["cart-1"] });
});

test("a proxy that watches is asked before it has posted a status, and when its lease is over", async () => {
  const { clock, proxies, flushes, asked, join } = await setUp();
  join("cart-1");
  clock.advance(20_001);
  proxies.watching("cart-2");
  const outcome = flushes.flush();
  const id = await untilAsked(asked, 1);
  for (const instance of ["cart-1", "cart-2"]) flushes.answered(id, instance);
  expect(await outcome).toEqual({ answered: ["cart-1", "cart-2"], silent: [] });
});

test("a proxy that is gone for longer than lease and grace is not asked", async () => {
  const { clock, flushes, proxies } = await setUp();
  proxies.report("cart-1", statusOf({}), "127.0.0.1");
  clock.advance(20_001);
  expect(await flushes.flush()).toEqual({ answered: [], silent: [] });
});

test("a proxy that leaves during a flush has answered it", async () => {
  const { flushes, asked, join } = await setUp();
  join("cart-1");
  const outcome = flushes.flush();
  await untilAsked(asked, 1);
  flushes.left("cart-1");
  expect(await outcome).toEqual({ answered: ["cart-1"], silent: [] });
});

test("requests that come together share a flush, a later one gets its own", async () => {
  const { flushes, asked, join } = await setUp();
  join("cart-1");
  const [a, b] = [flushes.flush(), flushes.flush()];
  expect(a).toBe(b);
  const first = await untilAsked(asked, 1);
  const later = flushes.flush();
  const second = await untilAsked(asked, 2);
  expect(second).not.toBe(first);
  flushes.answered(first, "cart-1");
  await a;
  flushes.close();
  expect(await later).toEqual({ answered: [], silent: ["cart-1"] });
});
