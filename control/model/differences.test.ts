import { expect, test } from "vitest";
import { differences } from "./differences.ts";

test("equal documents do not differ", () => {
  expect(differences({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toEqual([]);
});

test("each difference names its place, what was there and what comes", () => {
  const from = { a: 1, list: ["x", "y"], "team/a": "b" };
  const to = { a: 2, list: ["x"], c: { d: 3 } };
  expect(differences(from, to)).toEqual([
    { path: "/a", from: 1, to: 2 },
    { path: "/list/1", from: "y" },
    { path: "/team~1a", from: "b" },
    { path: "/c", to: { d: 3 } },
  ]);
});
