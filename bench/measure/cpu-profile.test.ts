import { expect, test } from "vitest";
import { type CpuProfile, sharesByFile, sharesByFunction } from "./cpu-profile.ts";

const FILE = "file:///srv/forklane/proxy/http1/parse-head.ts";

const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: { functionName: "(idle)", url: "", lineNumber: -1 } },
    { id: 2, callFrame: { functionName: "parseHead", url: FILE, lineNumber: 9 } },
    { id: 3, callFrame: { functionName: "", url: FILE, lineNumber: 19 } },
    { id: 4, callFrame: { functionName: "writev", url: "", lineNumber: -1 } },
    { id: 5, callFrame: { functionName: "parseHead", url: FILE, lineNumber: 9 } },
  ],
  samples: [1, 2, 3, 4, 5],
  timeDeltas: [5_000, 100, 100, 700, 100],
};

test("a function has the time in which itself was seen, wherever it was called from", () => {
  expect(sharesByFunction(PROFILE, 10)).toEqual([
    { what: "writev", share: 0.7 },
    { what: "parseHead proxy/http1/parse-head.ts:10", share: 0.2 },
    { what: "(anonymous) proxy/http1/parse-head.ts:20", share: 0.1 },
  ]);
});

test("a file has the time of its functions, and idle time is nobody's", () => {
  const [first, second] = sharesByFile(PROFILE, 10);
  expect(first).toEqual({ what: "writev", share: 0.7 });
  expect(second?.what).toBe("proxy/http1/parse-head.ts");
  expect(second?.share).toBeCloseTo(0.3);
});
