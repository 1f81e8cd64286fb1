import { expect, test } from "vitest";
import { tagHeaders, toTag } from "./tag.ts";

test("a tag is strict unless it must not be, and never twice", () => {
  expect(toTag("jane-42", true)).toBe("jane-42!");
  expect(toTag("jane-42!", true)).toBe("jane-42!");
  expect(toTag("jane-42", false)).toBe("jane-42");
  expect(toTag("jane-42.base", true)).toBe("jane-42.base!");
});

test("the tag is added to baggage that is there, not put in its place", () => {
  expect(tagHeaders([["baggage", "a=b"]], "jane-42!", "baggage")).toEqual([
    ["baggage", "a=b"],
    ["baggage", "sandbox=jane-42!"],
  ]);
});

test("to an edge the tag goes as a header of its own", () => {
  expect(tagHeaders([["x-a", "1"]], "jane-42!", "header")).toEqual([
    ["x-a", "1"],
    ["forklane-key", "jane-42!"],
  ]);
});
