import { expect, test } from "vitest";
import { NODE_MAJOR_MIN, nodeVersionProblem } from "./node-version.ts";

test("the oldest supported version and newer ones pass", () => {
  expect(nodeVersionProblem(`${NODE_MAJOR_MIN}.0.0`)).toBeNull();
  expect(nodeVersionProblem("26.10.0")).toBeNull();
  expect(nodeVersionProblem("100.0.0")).toBeNull();
});

test("an older version is named together with the one that is needed", () => {
  expect(nodeVersionProblem("22.11.0")).toContain("22.11.0");
  expect(nodeVersionProblem("22.11.0")).toContain(String(NODE_MAJOR_MIN));
});

test("a version that is no number does not pass", () => {
  expect(nodeVersionProblem("unknown")).not.toBeNull();
});
