import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JSON_CONTAINERS_MAX, JSON_DEPTH_MAX, parseJson } from "./json.ts";

function whyNot(text: string): string {
  const parsed = parseJson(text);
  return parsed.ok ? "" : parsed.error;
}

describe("JSON that somebody else wrote", () => {
  it("is what JSON.parse makes of it", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
      }),
    );
  });

  it.each([
    ["", ""],
    ["hunter2-secret", ""],
    ['{"hunter2": hunter2}', ""],
    ["[1] hunter2", " (line 1 column 5)"],
    ["{", " (line 1 column 2)"],
    ['{"a": 1,\n  "b" 2}', " (line 2 column 7)"],
  ])("%j is told by the place, where Node tells it, and never quoted", (text, place) => {
    expect(whyNot(text)).toBe(`is no JSON${place}`);
  });

  it("nested deeper than anything we read is refused, wherever it stands", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(whyNot(nested(JSON_DEPTH_MAX))).toBe("");
    expect(whyNot(nested(JSON_DEPTH_MAX + 1))).toContain("within each other");
    expect(whyNot('{"a":'.repeat(JSON_DEPTH_MAX + 1))).toContain("within each other");
    expect(whyNot("[".repeat(1_000_000))).toContain("within each other");
  });

  it("of more lists and objects than a table has is refused", () => {
    const empty = (count: number) => `[${"{},".repeat(count - 1)}{}]`;
    expect(whyNot(empty(JSON_CONTAINERS_MAX - 1))).toBe("");
    expect(whyNot(empty(JSON_CONTAINERS_MAX))).toContain(String(JSON_CONTAINERS_MAX));
  });

  it("may have brackets in its strings, and quotes behind backslashes", () => {
    const value = { a: "[".repeat(100), b: '\\"[{'.repeat(100), "\\": ["\\\\", '"'] };
    expect(parseJson(JSON.stringify(value))).toEqual({ ok: true, value });
  });
});
