import { expect, test } from "vitest";
import { compareRevisions, formatRevision, isRevision } from "./revision.ts";

test.each([
  ["a.2", "a.1", "newer"],
  ["a.1", "a.2", "older"],
  ["a.10", "a.9", "newer"],
  ["a.1", "a.1", "same"],
  ["b.2", "a.1", "unrelated"],
  ["a.1.2", "a.1", "unrelated"],
  ["a.2.2", "a.1.2", "newer"],
  ["a.2.1", "a.1.2", "older"],
  ["nonsense", "a.1", "unrelated"],
  ["1", "1", "same"],
])("%s after %s is %s", (next, current, order) => {
  expect(compareRevisions(next, current)).toBe(order);
});

test("what formatRevision writes is a revision; other text is none", () => {
  expect(isRevision(formatRevision("0af3", 7))).toBe(true);
  expect(isRevision(formatRevision("0af3", 7, 9))).toBe(true);
  for (const text of ["", "a", "a.", ".1", "a.-1", "A.1", "a.1\n", "a.1 "]) {
    expect(isRevision(text)).toBe(false);
  }
});
