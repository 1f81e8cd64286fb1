import { expect, test } from "vitest";
import { FakeClock, limitsWith, statusOf } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { Proxies } from "./proxies.ts";

function setUp(smaller: Partial<ControlLimits> = {}) {
  const clock = new FakeClock();
  const live = new Set(["jane-42", "bob-7"]);
  const proxies = new Proxies("e", (key) => live.has(key), limitsWith(smaller), clock);
  const report = (instance: string, status: Parameters<typeof statusOf>[0] = {}) =>
    proxies.report(instance, statusOf(status), "127.0.0.1");
  return { clock, live, proxies, report };
}

test("a proxy joins with its first status, is found by its workloads, and leaves cleanly", () => {
  const { proxies, report } = setUp();
  expect(report("cart-1")).toEqual({ ok: true, value: "joined" });
  expect(report("cart-1", { workloads: ["shop/web"] })).toEqual({ ok: true, value: "updated" });
  expect([...proxies.of("shop/cart")]).toEqual([]);
  expect([...proxies.of("shop/web")].map((each) => each.instance)).toEqual(["cart-1"]);
  expect(report("cart-1", { leaving: true })).toEqual({ ok: true, value: "left" });
  expect(proxies.get("cart-1")).toBeNull();
  expect([...proxies.workloads()]).toEqual([]);
});

test("what a proxy has applied is what its slowest worker has", () => {
  const { proxies, report } = setUp();
  const applied = (...revisions: (string | null)[]) => {
    report("cart-1", { applied: revisions });
    return proxies.get("cart-1")?.appliedVersion;
  };
  expect(applied("e.7", "e.5", "e.6")).toBe(5);
  expect(applied("e.7", null)).toBe(-1);
  expect(applied()).toBe(-1);
  expect(applied("other.9")).toBe(-1);
  expect(applied("e.9", "nonsense")).toBe(-1);
  expect(applied("e.0")).toBe(0);
});

test("a silent proxy is present for its lease, counts for the grace after it, then does not", () => {
  const { clock, proxies, report } = setUp();
  report("cart-1");
  const standing = () => {
    const proxy = proxies.get("cart-1");
    return [proxy?.present, proxy?.counts];
  };
  clock.advance(15_000);
  expect(standing()).toEqual([true, true]);
  clock.advance(1);
  expect(standing()).toEqual([false, true]);
  expect(proxies.sweep()).toBe(false);
  clock.advance(5_000);
  expect(standing()).toEqual([false, false]);
  expect(proxies.sweep()).toBe(true);
  expect(proxies.sweep()).toBe(false);
  report("cart-1");
  expect(standing()).toEqual([true, true]);
});

test("a proxy that was silent for long is forgotten", () => {
  const { clock, proxies, report } = setUp({ silentProxyMs: 60_000 });
  report("cart-1");
  clock.advance(60_001);
  const heardAtMs = proxies.get("cart-1")?.heardAtMs;
  proxies.sweep();
  expect(proxies.count).toBe(0);
  expect(proxies.forgottenHeardAtMs).toBe(heardAtMs);
});

test("when there are as many as are allowed, a silent one gives way, a present one does not", () => {
  const { clock, proxies, report } = setUp({ proxiesMax: 2 });
  report("a-1");
  clock.advance(20_001);
  report("b-1");
  expect(report("c-1").ok).toBe(true);
  expect(proxies.get("a-1")).toBeNull();
  expect(report("d-1")).toEqual({ ok: false, error: "too-many" });
  expect(report("b-1").ok).toBe(true);
});

test("the last time that a key was seen is the newest of all proxies, never in the future", () => {
  const { clock, proxies, report } = setUp();
  const now = clock.epochMs();
  report("a-1", { lastSeen: { "jane-42": now - 50, unknown: now } });
  report("b-1", { lastSeen: { "jane-42": now - 20, "bob-7.base": now - 5 } });
  report("a-1", { lastSeen: { "jane-42": now - 50 } });
  expect(proxies.lastSeenMs("jane-42")).toBe(now - 20);
  expect(proxies.lastSeenMs("bob-7")).toBe(now - 5);
  expect(proxies.lastSeenMs("unknown")).toBeNull();
  report("a-1", { lastSeen: { "jane-42": now + 1_000_000 } });
  expect(proxies.lastSeenMs("jane-42")).toBe(now);
  proxies.forgetKeys(["jane-42"]);
  expect(proxies.lastSeenMs("jane-42")).toBeNull();
});

test("a proxy is connected while one of its streams is open", () => {
  const { proxies, report } = setUp();
  report("cart-1");
  const end = proxies.watching("cart-1");
  const endSecond = proxies.watching("cart-1");
  end();
  expect(proxies.get("cart-1")?.connected).toBe(true);
  endSecond();
  expect(proxies.get("cart-1")?.connected).toBe(false);
});
