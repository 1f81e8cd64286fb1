import { expect, test } from "vitest";
import { MessageMemory, READ_BYTES_MAX, ROOM_BYTES_MIN } from "./message-memory.ts";

test("what is small, or more than one read brings, has no room", () => {
  const memory = new MessageMemory();
  const sizes = [ROOM_BYTES_MIN - 1, ROOM_BYTES_MIN, READ_BYTES_MAX, READ_BYTES_MAX + 1];
  const given = sizes.map((bytes) => {
    memory.clear();
    return memory.roomFor(bytes)?.length ?? null;
  });
  expect(given).toEqual([null, ROOM_BYTES_MIN, READ_BYTES_MAX, null]);
});

test("reads of one message do not overlap; what does not fit any more has no room", () => {
  const memory = new MessageMemory();
  memory.roomFor(READ_BYTES_MAX);
  memory.clear();
  const rooms = [12_000, 12_000, 12_000].map((bytes) => memory.roomFor(bytes));
  for (const [i, room] of rooms.entries()) room?.fill(i);
  expect(rooms.map((room) => room?.every((byte) => byte === rooms.indexOf(room)))).toEqual([
    ...[true, true, undefined],
  ]);
});

test("the memory is no more than twice what was asked for, and the same for the next message", () => {
  const memory = new MessageMemory();
  const first = memory.roomFor(5_000);
  expect(first?.buffer.byteLength).toBe(8_192);
  memory.clear();
  expect(memory.roomFor(6_000)?.buffer).toBe(first?.buffer);
  memory.clear();
  const larger = memory.roomFor(9_000);
  expect(larger?.buffer.byteLength).toBe(16_384);
  memory.clear();
  expect(memory.roomFor(5_000)?.buffer).toBe(larger?.buffer);
  memory.release();
  expect(memory.roomFor(5_000)?.buffer.byteLength).toBe(8_192);
});
