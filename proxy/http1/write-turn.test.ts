import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { endTurn, leaveRoom, WAITING_BYTES_MAX, waitForTurn } from "./write-turn.ts";

/** Writers whose messages are letters, and what has left so far. */
function writers() {
  const left: string[] = [];
  const waits = (letter: string, bytes: number): void => {
    const room = waitForTurn({ writeWaiting: () => left.push(`${room}`) }, bytes);
    room.fill(letter);
  };
  return { left, waits };
}

/** A message that the kernel does not take. */
function waitsForEver(letter: string, bytes: number): Buffer {
  const held = waitForTurn({ writeWaiting: () => leaveRoom(held) }, bytes);
  return held.fill(letter);
}

test("messages of a turn leave at its end, in their order", async () => {
  const { left, waits } = writers();
  waits("a", 3);
  waits("b", 1);
  waits("c", 2);
  expect(left).toEqual([]);
  await nextTurn();
  expect(left).toEqual(["aaa", "b", "cc"]);
});

test("what finds no room any more has those before it leave, and waits itself", async () => {
  const { left, waits } = writers();
  const letters = ["a", "b", "c", "d", "e"];
  for (const letter of letters) waits(letter, WAITING_BYTES_MAX);
  expect(left.map((text) => text[0])).toEqual(["a", "b", "c", "d"]);
  await nextTurn();
  expect(left).toEqual(letters.map((letter) => letter.repeat(WAITING_BYTES_MAX)));
});

test("room that a socket holds is not written to again, also while others wait in it", async () => {
  const { left, waits } = writers();
  const held = waitsForEver("x", 3);
  waits("a", 3);
  endTurn();
  for (const letter of ["b", "c", "d", "e"]) waits(letter, WAITING_BYTES_MAX);
  await nextTurn();
  expect([`${held}`, left.map((text) => text[0]).join("")]).toEqual(["xxx", "abcde"]);
});

test("sockets that hold bytes of one room have it replaced once", async () => {
  const held = waitsForEver("x", 3);
  const other = waitsForEver("y", 3);
  endTurn();
  const next = waitForTurn({ writeWaiting: () => undefined }, 3);
  leaveRoom(held);
  const behind = waitForTurn({ writeWaiting: () => undefined }, 3);
  expect(next.buffer).not.toBe(held.buffer);
  expect([other.buffer, behind.buffer]).toEqual([held.buffer, next.buffer]);
  expect(behind.byteOffset).toBe(3);
  await nextTurn();
});
