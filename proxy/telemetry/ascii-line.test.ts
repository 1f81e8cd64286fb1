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
  const whole = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(2 ** 31 - 1, 2 ** 31));
  fc.assert(
    fc.property(whole, fc.integer({ min: 1, max: 6 }), (value, digits) => {
      const expected = String(value).padStart(digits, "0");
      expect(written(64, (line) => line.whole(value, digits))).toBe(expected);
    }),
  );
});

test("text of any length comes out as it is", () => {
  for (const length of [0, 1, 32, 33, 64, 65, 300]) {
    const text = "ab".repeat(length).slice(0, length);
    expect(written(300, (line) => line.text(text))).toBe(text);
    expect(written(300, (line) => line.ascii(asciiBytes(text)))).toBe(text);
  }
});

test("a part of other bytes, and a duration in thousandths, come out as they are", () => {
  const bytes = Buffer.from("0123456789");
  expect(written(8, (line) => line.part(bytes, 2, 5))).toBe("23456");
  expect(written(8, (line) => line.millis(4.5))).toBe("4.500");
  expect(written(8, (line) => line.millis(-1))).toBe("0.000");
  expect(written(16, (line) => line.millis(61_000.0625))).toBe("61000.063");
});

test("what does not fit is left out whole, and the line says so", () => {
  const writes: ((line: AsciiLine) => void)[] = [
    (line) => line.text("12345"),
    (line) => line.json("123"),
    (line) => line.json("\n"),
    (line) => line.json("\u0141a"),
    (line) => line.whole(12_345),
    (line) => line.ascii(asciiBytes("12345")),
    (line) => line.part(Buffer.from("12345"), 0, 5),
  ];
  for (const write of writes) {
    const line = new AsciiLine(4);
    write(line);
    expect([line.length, line.isCut]).toEqual([0, true]);
    line.clear();
    expect(line.isCut).toBe(false);
  }
});
