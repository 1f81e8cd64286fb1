import { expect, test } from "vitest";
import { RecentMap } from "./recent-map.ts";

test("what was used lately is remembered, what was not is forgotten", () => {
  const recent = new RecentMap<number>(10);
  recent.set("kept", 1);
  for (let i = 0; i < 100; i++) {
    recent.set(`other-${i}`, i);
    expect(recent.get("kept")).toBe(1);
  }
  expect(recent.get("other-0")).toBeUndefined();
  expect(recent.get("other-99")).toBe(99);
});

test("it holds at most two generations", () => {
  const recent = new RecentMap<number>(10);
  for (let i = 0; i < 1_000; i++) recent.set(`n${i}`, i);
  const held = Array.from({ length: 1_000 }, (_, i) => i).filter((i) => recent.get(`n${i}`) === i);
  expect(held.length).toBeLessThanOrEqual(20);
  expect(held.at(-1)).toBe(999);
});
