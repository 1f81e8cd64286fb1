import { expect, test } from "vitest";
import { Ticker } from "./ticker.ts";

test("one that throws keeps the time from none of the others, and somebody is told", () => {
  const bugs: unknown[] = [];
  const told: number[] = [];
  const ticker = new Ticker(
    () => 1,
    1_000_000,
    (bug) => bugs.push(bug),
  );
  ticker.add({
    tick: () => {
      throw new Error("planted");
    },
  });
  ticker.add({ tick: (nowMs) => told.push(nowMs) });
  ticker.tick();
  expect([bugs, told]).toEqual([[new Error("planted")], [1]]);
  ticker.stop();
});

test("members are told the time at each tick, until they leave, also while they are told", () => {
  let now = 10;
  const ticker = new Ticker(() => now, 1_000_000);
  const told: number[] = [];
  const member = {
    tick(nowMs: number) {
      told.push(nowMs);
      if (nowMs > 20) ticker.delete(member);
    },
  };
  ticker.add(member);
  expect(ticker.nowMs).toBe(10);
  for (now of [20, 30, 40]) ticker.tick();
  expect(told).toEqual([20, 30]);
  expect([ticker.nowMs, ticker.now()]).toEqual([40, 40]);
  ticker.stop();
});
