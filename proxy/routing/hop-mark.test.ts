import { expect, test } from "vitest";
import { MadeFields } from "../message/field-list.ts";
import { readHopMark } from "./hop-mark.ts";

const ROOT = "0123456789abcdef";
const HOP = "fedcba9876543210";

function markIn(...lines: string[]) {
  return readHopMark(new MadeFields(lines.flatMap((line) => ["Baggage", line])));
}

test("a mark is read from any line of baggage", () => {
  const mark = { root: ROOT, hop: HOP };
  expect(markIn(`forklane-hop=${ROOT}.${HOP}`)).toEqual(mark);
  expect(markIn("a=1", `b=2, forklane-hop = ${ROOT}.${HOP} ;p=1,c=3`)).toEqual(mark);
});

test("of two marks the last one counts", () => {
  expect(markIn(`forklane-hop=${HOP}.${HOP},forklane-hop=${ROOT}.${HOP}`)?.root).toBe(ROOT);
});

test.each([
  "",
  "sandbox=jane-42",
  "forklane-hop",
  "forklane-hop=",
  `forklane-hop=${ROOT}`,
  `forklane-hop=${ROOT}.${HOP}0`,
  `forklane-hop=${ROOT.toUpperCase()}.${HOP}`,
  `forklane-hop=${ROOT}-${HOP}`,
  `x-forklane-hop=${ROOT}.${HOP}`,
])("%j holds no mark", (line) => {
  expect(markIn(line)).toBeNull();
});

test("a malformed mark does not hide a good one", () => {
  expect(markIn(`forklane-hop=${ROOT}.${HOP}`, "forklane-hop=x")).not.toBeNull();
});
