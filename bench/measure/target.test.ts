import { expect, test } from "vitest";
import { checkTarget, renderTargets } from "./target.ts";

test("a target is met at its bound, and not above it", () => {
  expect(checkTarget("added p50", 1_500, 1_500, "us").met).toBe(true);
  expect(checkTarget("added p50", 1_501, 1_500, "us").met).toBe(false);
  expect(checkTarget("added p50", Number.NaN, 1_500, "us").met).toBe(false);
});

test("each target is a line that says whether it is met", () => {
  const targets = [checkTarget("a", 1, 2, "x"), checkTarget("b", 3, 2, "x")];
  expect(renderTargets(targets)).toBe(
    "met      a: 1.00 x (at most 2.00)\nNOT MET  b: 3.00 x (at most 2.00)",
  );
});
