import { expect, test } from "vitest";
import type { LoadReport } from "../load/load-plan.ts";
import { summarize } from "./chain.ts";

const PHASE = { traffic: "untagged", load: "one", ratePerSecond: 0 } as const;

function report(p50: number, p99: number): LoadReport {
  return { requests: 1_000, p50, p90: p50, p99, p999: p99, max: p99, lateP99: 0, leftOut: 0 };
}

test("what a path adds is taken against the direct way of the same round", () => {
  const direct = [report(20, 50), report(40, 90), report(20, 50)];
  const rounds = [report(120, 250), report(160, 390), report(110, 200)];
  expect(summarize("haproxy x1", PHASE, rounds, direct)).toEqual({
    ...PHASE,
    path: "haproxy x1",
    p50: 120,
    p99: 250,
    addedP50: 100,
    addedP99: 200,
    lateP99: 0,
  });
});
