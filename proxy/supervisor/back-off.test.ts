import { expect, test } from "vitest";
import { BackOff } from "./back-off.ts";

test("the first end costs no time, those in a row ever more, up to ten seconds", () => {
  const backOff = new BackOff();
  const waits = Array.from({ length: 12 }, () => backOff.next(50));
  expect(waits.slice(0, 5)).toEqual([0, 100, 200, 400, 800]);
  expect(waits.at(-1)).toBe(10_000);
  expect(backOff.inRow).toBe(12);
});

test("who lived for a minute begins anew", () => {
  const backOff = new BackOff();
  for (let i = 0; i < 5; i++) backOff.next(0);
  expect([backOff.next(60_000), backOff.next(0)]).toEqual([0, 100]);
});

test("a thousand ends in a row wait no longer than ten", () => {
  const backOff = new BackOff();
  for (let i = 0; i < 1_000; i++) expect(backOff.next(0)).toBeLessThanOrEqual(10_000);
});
