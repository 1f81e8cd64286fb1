import fc from "fast-check";
import { expect, test } from "vitest";
import { FixedRate } from "./fixed-rate.ts";

test("requests are due one interval apart, from the start on", () => {
  const rate = new FixedRate(1_000, 500);
  expect([rate.take(1_000), rate.take(1_000), rate.take(1_002)]).toEqual([1_000, null, 1_002]);
  expect(rate.nextDueMs).toBe(1_004);
});

test("after a stall every request that was due keeps its own due time", () => {
  const rate = new FixedRate(0, 1_000);
  const due = Array.from({ length: 5 }, () => rate.take(3.5));
  expect(due).toEqual([0, 1, 2, 3, null]);
});

test("whatever the moments of asking, as many are taken as were due", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 5_000 }),
      (times, perSecond) => {
        const rate = new FixedRate(0, perSecond);
        let taken = 0;
        for (const now of times.toSorted((a, b) => a - b)) {
          while (rate.take(now) !== null) taken++;
        }
        const due = Math.max(...times) / (1_000 / perSecond) + 1;
        expect(Math.abs(taken - due)).toBeLessThanOrEqual(1.001);
      },
    ),
  );
});

test("what falls due while the load is away is left out, and the rate goes on as before", () => {
  const rate = new FixedRate(0, 1_000);
  expect([rate.take(0), rate.take(1)]).toEqual([0, 1]);
  expect(rate.leaveOut(1.5, 6.5)).toBe(5);
  expect([rate.take(6.6), rate.take(7.2)]).toEqual([null, 7]);
  expect(rate.leaveOut(7.3, 7.9)).toBe(0);
});

test("nothing is left out behind a request that waits for a connection", () => {
  const rate = new FixedRate(0, 1_000);
  expect(rate.leaveOut(2.5, 6.5)).toBe(0);
  expect(rate.take(6.5)).toBe(0);
});
