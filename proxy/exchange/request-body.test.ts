import { expect, test } from "vitest";
import { RequestBody } from "./request-body.ts";

/** Bytes of memory that stay with what is kept. */
function heldBytes(body: RequestBody): number {
  const buffers = new Set(body.pieces.map(({ buffer }) => buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A piece that is part of a buffer of 64 KiB. */
function pieceOf(text: string): Buffer {
  const read = Buffer.alloc(64 * 1024);
  read.write(text, 100);
  return read.subarray(100, 100 + text.length);
}

function content(body: RequestBody): string {
  return Buffer.concat(body.pieces).toString();
}

test("content comes out as it went in, however it is cut, and as often as it is asked for", () => {
  const body = new RequestBody(1_000_000, -1);
  let whole = "";
  for (const length of [10, 1, 2, 5_000, 4_096, 3, 4_095, 1, 1, 9_000]) {
    const text = String.fromCharCode(97 + (whole.length % 26)).repeat(length);
    whole += text;
    body.add(pieceOf(text), whole.length % 2 === 0);
    expect(content(body)).toBe(whole);
  }
  expect(content(body)).toBe(whole);
  expect(body.keptBytes).toBe(whole.length);
  expect(body.bytes).toBe(whole.length);
});

test("small pieces hold the first read, and no more than twice what they say", () => {
  const body = new RequestBody(1_000_000, -1);
  for (let index = 0; index < 2_000; index++) body.add(pieceOf("a"), true);
  expect(content(body)).toBe("a".repeat(2_000));
  expect(heldBytes(body)).toBeLessThanOrEqual(64 * 1024 + 2 * 2_000);
});

test("what was sent is kept up to the limit; what was not, without one", () => {
  const body = new RequestBody(10, -1);
  body.add(pieceOf("a".repeat(11)), true);
  body.add(pieceOf("b"), true);
  expect(content(body)).toBe(`${"a".repeat(11)}b`);
  body.letGoBeyondLimit();
  expect(body.pieces).toEqual([]);
  expect(body.isReplayable).toBe(false);
  body.add(pieceOf("c"), false);
  expect(body.keptBytes).toBe(0);
  expect(body.bytes).toBe(13);
});

test("content whose head says more than the limit is not kept once it can be sent", () => {
  const body = new RequestBody(10, 11);
  expect(body.isReplayable).toBe(false);
  body.add(pieceOf("a"), false);
  expect(body.pieces).toEqual([]);
});
