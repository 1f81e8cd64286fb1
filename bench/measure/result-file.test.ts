import { expect, test } from "vitest";
import { resultFileName } from "./result-file.ts";

test("result files sort by scenario, then by time", () => {
  expect(resultFileName({ scenario: "cpu", date: "2026-01-31T23:59:58.123Z" })).toBe(
    "cpu-20260131-235958.json",
  );
});
