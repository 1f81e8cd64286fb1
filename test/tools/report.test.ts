import { expect, test } from "vitest";
import { countTests } from "./report.ts";

const files = (...statuses: string[]) =>
  statuses.map((status) => ({ status, assertionResults: status === "passed" ? [{}] : [] }));

function report(passed: number, failed: number, total: number, testResults: unknown = []): string {
  return JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numTotalTests: total,
    testResults,
  });
}

test("what neither passed nor failed was skipped", () => {
  expect(countTests(report(5, 1, 8))).toEqual({ passed: 5, failed: 1, skipped: 2 });
});

test("a file that broke before its first test counts as a failure", () => {
  const text = report(1, 0, 1, files("passed", "failed"));
  expect(countTests(text)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("a report that lacks a number is refused", () => {
  expect(() => countTests("{}")).toThrow();
  expect(() => countTests(report(1, 0, 1).replace("1", '"1"'))).toThrow();
  expect(() => countTests("")).toThrow();
});
