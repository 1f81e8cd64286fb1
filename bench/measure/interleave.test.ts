import { expect, test } from "vitest";
import { interleave, rotate } from "./interleave.ts";

test("each thing is measured once a round, and each round begins with another one", async () => {
  const order: string[] = [];
  const samples = await interleave(["a", "b", "c"], 2, async (name, round) => {
    order.push(name);
    return round;
  });
  expect(order).toEqual(["a", "b", "c", "b", "c", "a"]);
  expect([...samples]).toEqual([
    ["a", [0, 1]],
    ["b", [0, 1]],
    ["c", [0, 1]],
  ]);
});

test("nothing to measure is nothing measured", async () => {
  expect(rotate([], 3)).toEqual([]);
  expect((await interleave([], 3, async () => 1)).size).toBe(0);
});
