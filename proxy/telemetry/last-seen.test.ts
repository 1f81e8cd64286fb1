import { describe, expect, it } from "vitest";
import { decision, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { LastSeen } from "./last-seen.ts";

function seen(lastSeen: LastSeen, key: string, startEpochMs: number): void {
  const at = { startEpochMs, startedAtMs: 0, endedAtMs: 0 };
  lastSeen.finished(taggedExchange({ decision: decision({ key }), ...at }));
}

describe("last seen", () => {
  it("keeps the latest time of each key", () => {
    const lastSeen = new LastSeen();
    seen(lastSeen, "jane-42", 1);
    seen(lastSeen, "jane-42", 5);
    seen(lastSeen, "pr-7", 3);
    expect(lastSeen.byKey()).toEqual({ "jane-42": 5, "pr-7": 3 });
  });

  it("counts a request until its end, whatever ended meanwhile", () => {
    const lastSeen = new LastSeen();
    const one = (startEpochMs: number, durationMs: number) =>
      lastSeen.finished(taggedExchange({ startEpochMs, startedAtMs: 0, endedAtMs: durationMs }));
    one(1_000, 60_000);
    expect(lastSeen.byKey()).toEqual({ "jane-42": 61_000 });
    one(59_000, 10);
    expect(lastSeen.byKey()).toEqual({ "jane-42": 61_000 });
  });

  it("does not keep what is no live key: anybody can send one", () => {
    const lastSeen = new LastSeen();
    lastSeen.finished(untaggedExchange());
    const unknown = decision({ outcome: "baseline", reason: "unknown-key" });
    lastSeen.finished(taggedExchange({ decision: unknown }));
    expect(lastSeen.byKey()).toEqual({});
  });

  it("forgets the key seen longest ago when there are too many", () => {
    const lastSeen = new LastSeen(2);
    seen(lastSeen, "one", 1);
    seen(lastSeen, "two", 2);
    seen(lastSeen, "one", 3);
    seen(lastSeen, "three", 4);
    expect(lastSeen.byKey()).toEqual({ one: 3, three: 4 });
  });

  it("keeps ten thousand keys", () => {
    const lastSeen = new LastSeen();
    for (let i = 0; i <= 10_000; i++) seen(lastSeen, `key-${i}`, i);
    const kept = lastSeen.byKey();
    expect([Object.keys(kept).length, kept["key-0"]]).toEqual([10_000, undefined]);
  });
});
