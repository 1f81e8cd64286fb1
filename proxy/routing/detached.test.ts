import { expect, test } from "vitest";
import { detached } from "./detached.ts";

test("a detached text is the same text", () => {
  for (const text of ["", "short", "a text that is longer than twelve characters"]) {
    expect(detached(text)).toBe(text);
  }
});
