import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../limits.ts";
import { fitToOpenFiles } from "./open-files.ts";

test.each([
  [1_024, 512],
  [19_999, 9_999],
  [20_000, 10_000],
  [1_000_000, 10_000],
  [1, 1],
])("with %i open files there are at most %i connections", (openFiles, connections) => {
  expect(fitToOpenFiles(DEFAULT_LIMITS, openFiles)).toEqual({
    ...DEFAULT_LIMITS,
    downstreamConnectionsMax: connections,
  });
});

test("a lower limit of connections stays", () => {
  const limits = { ...DEFAULT_LIMITS, downstreamConnectionsMax: 7 };
  expect(fitToOpenFiles(limits, 1_024)).toBe(limits);
  expect(fitToOpenFiles(limits)).toBe(limits);
});
