import { expect, test } from "vitest";
import { type CpuRow, pairedRatio } from "./cpu-rows.ts";
import type { LatencyRow } from "./latency-rows.ts";
import { compareTargets } from "./targets.ts";

function own(name: string, totals: number[], to: Record<string, number[]> = {}): CpuRow {
  const ratios = Object.entries(to).map(([peer, others]) => [peer, pairedRatio(totals, others)]);
  const figures = { userMicros: 0, systemMicros: 0, totalMicros: 0, plusMinus: 0, perSecond: 0 };
  const memory = { pssMb: 0, privateDirtyMb: 0 };
  const row = { case: name, proxy: "forklane", sandboxes: 1, ...figures, ...memory, totals };
  return { ...row, to: Object.fromEntries(ratios) };
}

function added(proxy: string, addedP99: number): LatencyRow {
  const figures = { p50: 0, p99: 0, p999: 0, addedP50: 0, addedP999: 0, lateP99: 0, leftOut: 0 };
  return { case: "latency-tagged", proxy, ratePerSecond: 1, ...figures, addedP99 };
}

const NOTHING = { cpu: [], latency: [], memory: [] };

test("the better peer is the cheaper one", () => {
  const cpu = [own("untagged", [24], { nginx: [20], haproxy: [30] })];
  expect(compareTargets({ ...NOTHING, cpu })).toMatchObject([{ value: 1.2, met: true }]);
});

test("tagged is held against untagged round by round", () => {
  const cpu = [own("untagged", [10, 20, 30]), own("tagged", [13, 26, 39])];
  expect(compareTargets({ ...NOTHING, cpu })).toMatchObject([
    { what: "CPU, tagged to untagged", value: 1.3, atMost: 1.2, met: false },
  ]);
});

test("where HAProxy seems to add nothing, whatever we add is too much", () => {
  const latency = [added("forklane", 5), added("haproxy", -20)];
  expect(compareTargets({ ...NOTHING, latency })).toMatchObject([{ value: 5, met: false }]);
});

test("another build of Forklane is not judged", () => {
  const memory = [10, 99].map((privateDirtyMb, i) => {
    const proxy = i === 0 ? "forklane" : "before";
    const row = { case: "memory", proxy, sandboxes: 1, connections: 1, pssMb: 1, privateDirtyMb };
    return { ...row, state: "fresh" as const };
  });
  expect(compareTargets({ ...NOTHING, memory })).toMatchObject([{ value: 10, met: true }]);
});

test("what was not measured has no target", () => {
  expect(compareTargets(NOTHING)).toEqual([]);
});
