import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { GrowingBytes } from "./growing-bytes.ts";

test("pieces come out in one, in their order", () => {
  const grown = new GrowingBytes(Number.POSITIVE_INFINITY);
  const source = Buffer.from("abcdefghij");
  for (let i = 0; i < 5_000; i++) grown.add(source, i % 10, (i % 10) + 1);
  expect(grown.length).toBe(5_000);
  expect(grown.room.toString("latin1", 0, grown.length)).toBe("abcdefghij".repeat(500));
});

test("what it begins with is not copied, and not written to", () => {
  const source = Buffer.from("abcdef");
  const grown = new GrowingBytes(100, source.subarray(0, 3));
  expect(grown.room.buffer).toBe(source.buffer);
  grown.add(Buffer.from("xyz"), 0, 3);
  expect([grown.room.toString("latin1", 0, grown.length), source.toString()]).toEqual([
    "abcxyz",
    "abcdef",
  ]);
});

test("the room is at most twice what was needed when it grew, and no more than the limit", () => {
  const rooms = new Set<number>();
  const grown = new GrowingBytes(5_000);
  for (let i = 0; i < 5_000; i++) {
    grown.add(Buffer.from("x"), 0, 1);
    rooms.add(grown.room.length);
  }
  expect([...rooms]).toEqual([1_024, 2_050, 4_102, 5_000]);
});
