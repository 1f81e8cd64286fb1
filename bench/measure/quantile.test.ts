import { describe, expect, test } from "vitest";
import { median, quantile, quantilesOf, spread } from "./quantile.ts";

describe("quantilesOf", () => {
  test("takes the smallest sample that the share of all reaches", () => {
    const samples = Array.from({ length: 1_000 }, (_, i) => 1_000 - i);
    expect(quantilesOf(samples)).toEqual({
      count: 1_000,
      p50: 500,
      p90: 900,
      p99: 990,
      p999: 999,
      max: 1_000,
    });
  });

  test("one sample is every quantile", () => {
    expect(quantilesOf([7])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, p999: 7, max: 7 });
  });

  test("no samples are no figure", () => {
    expect(() => quantilesOf([])).toThrow(RangeError);
  });

  test("leaves the samples in their order", () => {
    const samples = [3, 1, 2];
    quantilesOf(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
});

test("the quantile of share 0 is the smallest sample", () => {
  expect(quantile(Float64Array.of(4, 9), 0)).toBe(4);
});

describe("rounds", () => {
  test("the median of an even number of rounds lies between the two in the middle", () => {
    expect(median([10, 1, 3, 2])).toBe(2.5);
    expect(median([10, 1, 3])).toBe(3);
  });

  test("the spread is what lies between the extremes, next to the median", () => {
    expect(spread([9, 10, 12])).toBeCloseTo(0.3);
    expect(spread([5])).toBe(0);
  });
});
