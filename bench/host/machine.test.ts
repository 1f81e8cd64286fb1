import { expect, test } from "vitest";
import { busyWarning } from "./machine.ts";

test("a busy machine is told with its load, a quiet one is not", () => {
  expect(busyWarning({ loadBefore: 0.5 })).toBeNull();
  expect(busyWarning({ loadBefore: 3.21 })).toContain("(load 3.2)");
});
