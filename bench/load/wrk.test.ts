import { expect, test } from "vitest";
import { parseWrkReport } from "./wrk.ts";

test("the report is found between what wrk prints for people", () => {
  const line = '{"requests":97009,"durationMicros":2000942,"failed":0,"p50":552,"p99":2200}';
  const report = parseWrkReport(`Running 2s test\n  97009 requests in 2.00s\n\n${line}\n`);
  expect(report.requests).toBe(97_009);
  expect(report.durationMicros).toBe(2_000_942);
});

test("output without a report is refused", () => {
  expect(() => parseWrkReport("unable to connect")).toThrow("wrk wrote no report");
});
