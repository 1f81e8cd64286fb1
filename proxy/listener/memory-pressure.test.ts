import { expect, test } from "vitest";
import type { ExchangeContext } from "../exchange/context.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { MemoryPressure, memoryUsedPercent } from "./memory-pressure.ts";

function newContext(): Pick<ExchangeContext, "overload"> {
  return { overload: "none" };
}

test("memory in use closes connections at 92 percent, refuses at 95, and is looked at once a second", () => {
  const contexts = [newContext(), newContext()];
  let used = 91;
  const pressure = new MemoryPressure(DEFAULT_LIMITS, contexts, () => used);
  const levels: string[] = [];
  for (const [nowMs, percent] of [
    [0, 91.9],
    [999, 99],
    [1_000, 92],
    [2_000, 94.9],
    [3_000, 95],
    [4_000, 200],
    [5_000, 93],
    [6_000, 50],
  ] as const) {
    used = percent;
    pressure.tick(nowMs);
    levels.push(...new Set(contexts.map(({ overload }) => overload)));
  }
  const [none, closes, refuses] = ["none", "closes", "refuses"];
  expect(levels).toEqual([none, none, closes, closes, refuses, refuses, closes, none]);
});

test("garbage is collected while there is too little, every five seconds, and never else", () => {
  const contexts = [newContext(), newContext()];
  let used = 50;
  const collectedAtMs: number[] = [];
  let nowMs = 0;
  const pressure = new MemoryPressure(
    DEFAULT_LIMITS,
    contexts,
    () => used,
    () => collectedAtMs.push(nowMs),
  );
  for (; nowMs < 30_000; nowMs += 1_000) {
    used = nowMs >= 10_000 && nowMs < 20_000 ? 96 : 50;
    pressure.tick(nowMs);
  }
  expect(collectedAtMs).toEqual([10_000, 15_000]);
});

test("this process uses some of its memory, and not all", () => {
  expect(memoryUsedPercent()).toBeGreaterThan(0);
  expect(memoryUsedPercent()).toBeLessThan(92);
});
