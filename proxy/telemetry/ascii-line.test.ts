import fc from "fast-check";
import { expect, test } from "vitest";
import { AsciiLine, asciiBytes, escapeControls } from "./ascii-line.ts";

function written(bytesMax: number, write: (line: AsciiLine) => void): string {
  const line = new AsciiLine(bytesMax);
  line.text("before");
  line.clear();
  write(line);
  return line.bytes.toString("latin1", 0, line.length);
}

test("any text comes out as one JSON string in ASCII, without control bytes", () => {
  const text = fc.string({ unit: "binary", maxLength: 100 });
  fc.assert(
    fc.property(text, (value) => {
      const json = written(4_096, (line) => line.json(value));
      expect(json).toMatch(/^[ -~]*$/);
      expect(JSON.parse(json)).toBe(escapeControls(value));
    }),
  );
});

test("a whole number comes out in its digits, and in as many as asked for", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 6 }), (value, digits) => {
      const expected = String(value).padStart(digits, "0");
      expect(written(64, (line) => line.whole(value, digits))).toBe(expected);
    }),
  );
});

test("text of any length comes out as it is", () => {
  for (const length of [0, 1, 64, 65, 300]) {
    const text = "ab".repeat(length).slice(0, length);
    expect(written(300, (line) => line.text(text))).toBe(text);
  }
});

test("what was written can be copied into another line", () => {
  const first = new AsciiLine(64);
  first.text("ab");
  first.json("c");
  const piece = first.copy(2);
  first.clear();
  expect(written(64, (line) => line.ascii(piece))).toBe('"c"');
});

test("what does not fit is left out whole, and the line says so", () => {
  const writes: ((line: AsciiLine) => void)[] = [
    (line) => line.text("12345"),
    (line) => line.json("123"),
    (line) => line.json("\n"),
    (line) => line.json("\u0141a"),
    (line) => line.whole(12_345),
    (line) => line.ascii(asciiBytes("12345")),
  ];
  for (const write of writes) {
    const line = new AsciiLine(4);
    write(line);
    expect([line.length, line.isCut]).toEqual([0, true]);
    line.clear();
    expect(line.isCut).toBe(false);
  }
});
