import { expect, test } from "vitest";
import { Pieces } from "./pieces.ts";

/** Lengths at which another way of copying begins: of text and of bytes. */
const LENGTHS = [0, 1, 8, 9, 64, 65, 300];

test("pieces of any length come out as one, in order, whole or in part", () => {
  const source = Buffer.from(Array.from({ length: 400 }, (_, i) => i % 256));
  const pieces = new Pieces();
  const expected: Buffer[] = [];
  for (const length of LENGTHS) {
    const whole = Buffer.from(source.subarray(0, length));
    pieces.range(whole, 0, length);
    pieces.range(source, 7, 7 + length);
    pieces.text(whole.toString("latin1"));
    expected.push(whole, source.subarray(7, 7 + length), whole);
  }
  const all = Buffer.concat(expected);
  expect(pieces.bytes).toBe(all.length);
  expect(pieces.joined().equals(all)).toBe(true);
  const room = Buffer.alloc(all.length);
  pieces.joinInto(room);
  expect(room.equals(all)).toBe(true);
});
