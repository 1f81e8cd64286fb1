import { afterEach, describe, expect, it, vi } from "vitest";
import { MESSAGE_CHARS_MAX, stderrLog } from "./stderr-log.ts";

afterEach(() => vi.restoreAllMocks());

/** What a warning with this text brings to standard error. */
function written(message: string): string {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  stderrLog("worker 1: ").warn(message);
  return String(write.mock.lastCall?.[0]);
}

describe("the log on standard error", () => {
  it("has a time, a level and a text in each line", () => {
    expect(written("control is löst")).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z warn worker 1: control is löst\n$/,
    );
  });

  it.each([
    ["a line feed", "e.1\n2026-01-01T00:00:00.000Z info all is well"],
    ["a carriage return", "e.1\rforged"],
    ["an escape sequence", "e.1\u001b]0;title\u0007\u001b[2J"],
    ["a control byte past ASCII", "e.1\u009b2J"],
    ["a line separator", "e.1\u2028forged\u2029forged"],
  ])("says %s of others by its number", (_, message) => {
    const line = written(message);
    expect(line.endsWith("\n")).toBe(true);
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    expect(line).toContain("e.1\\x");
  });

  it("cuts a message that is longer than anybody reads, and says by how much", () => {
    expect(written("x".repeat(MESSAGE_CHARS_MAX * 2))).toMatch(/x\.\.\. and 8202 characters\n$/);
    expect(written("\n".repeat(1_000_000)).length).toBeLessThan(5 * MESSAGE_CHARS_MAX);
  });
});
