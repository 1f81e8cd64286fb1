import { expect, test } from "vitest";
import { COMPLETE } from "../http1/parse-head.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { MessagePartsPool } from "./message-parts.ts";

const REQUEST = Buffer.from("GET /secret HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n");

test("parts that are given back are taken again, and refer to nothing of the message before", () => {
  const pool = new MessagePartsPool(DEFAULT_LIMITS);
  const parts = pool.take();
  const { reader, requestEdit } = parts;
  expect(reader.read(REQUEST, 0, REQUEST.length)).toBe(COMPLETE);
  expect(reader.head.value(1)).toBe("secret");
  requestEdit.replace(1, "secret");
  pool.giveBack(parts);
  expect(pool.take()).toBe(parts);
  expect([reader.isBegun, requestEdit.isEmpty]).toEqual([false, true]);
  expect([reader.head.count, reader.head.bytes.length]).toEqual([0, 0]);
});

test("parts are one connection's at a time, and no more than 256 are kept", () => {
  const pool = new MessagePartsPool(DEFAULT_LIMITS);
  const taken = Array.from({ length: 257 }, () => pool.take());
  expect(new Set(taken).size).toBe(257);
  for (const parts of taken) pool.giveBack(parts);
  const again = Array.from({ length: 257 }, () => pool.take());
  expect(again.filter((parts) => taken.includes(parts))).toHaveLength(256);
});

test("no more than 32 parts that are not in use keep the memory of an upload", () => {
  const pool = new MessagePartsPool(DEFAULT_LIMITS);
  const taken = Array.from({ length: 33 }, () => pool.take());
  const memories = taken.map(({ memory }) => memory.roomFor(8_000)?.buffer);
  for (const parts of taken) pool.giveBack(parts);
  const kept = taken.filter(({ memory }, i) => memory.roomFor(8_000)?.buffer === memories[i]);
  expect(kept).toEqual(taken.slice(0, 32));
});
