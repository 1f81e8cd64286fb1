import { expect, test } from "vitest";
import { parseDuration } from "./duration.ts";

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["90m", 5_400_000],
  ["2h", 7_200_000],
  ["3d", 259_200_000],
])("%s is %i milliseconds", (text, ms) => {
  expect(parseDuration(text)).toEqual({ ok: true, value: ms });
});

test.each(["", "2", "h", "2 h", "-2h", "1.5h", "2w", "1h30m", "9999999s", " 2h"])(
  "%j is no duration, and the error shows what is",
  (text) => {
    const duration = parseDuration(text);
    expect(duration.ok).toBe(false);
    expect(duration).toHaveProperty("error", expect.stringContaining("2h"));
  },
);
