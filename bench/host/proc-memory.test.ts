import { expect, test } from "vitest";
import { parseSmapsRollup } from "./proc-memory.ts";

const ROLLUP = `55d0c4a00000-7ffd3b5fe000 ---p 00000000 00:00 0                          [rollup]
Rss:              884 kB
Pss:              385 kB
Pss_Dirty:         68 kB
Shared_Dirty:       4 kB
Private_Clean:     20 kB
Private_Dirty:     60 kB
`;

test("PSS and private dirty are read in bytes, and not taken for their neighbours", () => {
  expect(parseSmapsRollup(ROLLUP)).toEqual({
    pssBytes: 385 * 1_024,
    privateDirtyBytes: 60 * 1_024,
  });
});

test("a kernel that does not say so ends the run", () => {
  expect(() => parseSmapsRollup("Rss: 1 kB\n")).toThrow("says nothing of Pss");
});
