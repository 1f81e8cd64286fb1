import { expect, test } from "vitest";
import type { LoadReport } from "../load/load-plan.ts";
import { DIRECT, latencyRows } from "./latency-rows.ts";
import { halfLoads } from "./measure-latency.ts";

function report(p50: number, p99: number): LoadReport {
  return { requests: 1_000, p50, p90: p50, p99, p999: p99, max: p99, lateP99: 0, leftOut: 0 };
}

test("what a proxy adds is taken against the direct way of the same round", () => {
  const rows = latencyRows(
    "latency-tagged",
    new Map([["forklane", 500]]),
    new Map([
      [DIRECT, [report(20, 50), report(40, 90), report(20, 50)]],
      ["forklane", [report(120, 250), report(160, 390), report(110, 200)]],
    ]),
  );
  expect(rows[1]).toMatchObject({ proxy: "forklane", ratePerSecond: 500, p50: 120, p99: 250 });
  expect(rows[1]).toMatchObject({ addedP50: 100, addedP99: 200 });
});

test("all have half of what saturates Forklane, but nobody more than half of what saturates itself", () => {
  const saturations = { direct: 90_000, forklane: 20_000, nginx: 60_000, envoy: 6_000 };
  expect(Object.fromEntries(halfLoads(new Map(Object.entries(saturations))))).toEqual({
    direct: 10_000,
    forklane: 10_000,
    nginx: 10_000,
    envoy: 3_000,
  });
});
