import { describe, expect, test } from "vitest";
import { ADMITTED_EVERY, RecurringMap } from "./recurring-map.ts";

const KEPT_MAX = 100;

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `name-${index}`);
}

function make<K>(map: RecurringMap<K, number>, name: K, value: number): void {
  if (map.admits(name)) map.keep(name, value);
}

function full(): RecurringMap<string, number> {
  const map = new RecurringMap<string, number>(KEPT_MAX);
  for (const [index, name] of names(KEPT_MAX).entries()) make(map, name, index);
  return map;
}

test.each([["text"], [{ an: "object" }]])("what was made of %s is kept", (name) => {
  const map = new RecurringMap<unknown, number>(KEPT_MAX);
  expect(map.get(name)).toBeUndefined();
  make(map, name, 1);
  expect(map.get(name)).toBe(1);
  make(map, name, 2);
  expect(map.get(name)).toBe(2);
});

describe("once it is full", () => {
  test("it holds no more, whatever comes", () => {
    const map = full();
    const others = Array.from({ length: 100 * KEPT_MAX }, (_, index) => `other-${index}`);
    for (const [index, name] of others.entries()) make(map, name, index);
    const kept = [...names(KEPT_MAX), ...others].filter((name) => map.get(name) !== undefined);
    expect(kept).toHaveLength(KEPT_MAX);
  });

  test("what is made anew of a name that is kept pushes out no other", () => {
    const map = full();
    for (let value = 0; value < 10 * ADMITTED_EVERY; value++) make(map, "name-0", value);
    expect(map.get("name-0")).toBe(10 * ADMITTED_EVERY - 1);
    expect(names(KEPT_MAX).filter((name) => map.get(name) === undefined)).toEqual([]);
  });

  test("the first of some takes the place of the oldest", () => {
    const map = full();
    for (let index = 0; index < 2 * ADMITTED_EVERY; index++) make(map, `other-${index}`, index);
    expect(names(KEPT_MAX).filter((name) => map.get(name) === undefined)).toEqual([
      "name-0",
      "name-1",
    ]);
    expect(map.get("other-0")).toBe(0);
    expect(map.get(`other-${ADMITTED_EVERY}`)).toBe(ADMITTED_EVERY);
  });

  test.each([1, 2, ADMITTED_EVERY - 1, KEPT_MAX / 2])(
    "%i names that come in turn all get in",
    (count) => {
      const map = full();
      const recurring = Array.from({ length: count }, (_, index) => `other-${index}`);
      const missing = () => recurring.filter((name) => map.get(name) === undefined);
      // Each time that all have come at least one gets in.
      for (let round = 0; round < count * ADMITTED_EVERY; round++) {
        for (const name of missing()) make(map, name, round);
      }
      expect(missing()).toEqual([]);
    },
  );
});
