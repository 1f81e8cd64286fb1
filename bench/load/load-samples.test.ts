import { expect, test } from "vitest";
import { LoadSamples } from "./load-samples.ts";

const PLAN = { warmUpMs: 100, durationMs: 200 };

test("requests of the warm-up do not count, latencies are microseconds since they were due", () => {
  const samples = new LoadSamples(PLAN, 1_000);
  samples.add(1_050, 1_060, 0);
  samples.add(1_100, 1_102, 0.5);
  samples.add(1_299, 1_400, 0);
  samples.add(1_300, 1_301, 0);
  expect(samples.report()).toMatchObject({ requests: 2, p50: 2_000, max: 101_000, lateP99: 500 });
});

test("what was left out is told as a share of what was due, without the warm-up", () => {
  const samples = new LoadSamples(PLAN, 1_000);
  samples.leaveOut(7, 1_099);
  samples.add(1_100, 1_102, 0);
  samples.leaveOut(3, 1_200);
  expect(samples.report()).toMatchObject({ requests: 1, leftOut: 0.75 });
});

test("a run goes on past its time until there is one answer, and that counts, but not for ever", () => {
  const samples = new LoadSamples(PLAN, 1_000);
  expect([samples.isOver(1_300), samples.isOver(31_299), samples.isOver(31_300)]).toEqual([
    false,
    false,
    true,
  ]);
  for (const dueMs of [1_099, 1_500, 1_501]) samples.add(dueMs, dueMs + 3, 0);
  expect(samples.isOver(1_504)).toBe(true);
  expect(samples.report()).toMatchObject({ requests: 1, p50: 3_000 });
});

test("a run in which nothing was answered has no figures", () => {
  expect(() => new LoadSamples(PLAN, 0).report()).toThrow("no request was answered in time");
});
