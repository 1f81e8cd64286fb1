import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { throwAgain } from "../../core/invariant.ts";
import {
  endTurn,
  leaveRoom,
  WAITING_BYTES_MAX,
  type WaitingWriter,
  waitForTurn,
} from "./write-turn.ts";

function writer(writeWaiting: () => void = () => undefined): WaitingWriter {
  return { writeWaiting, failed: throwAgain };
}

/** Writers whose messages are letters, and what has left so far. */
function writers() {
  const left: string[] = [];
  const waits = (letter: string, bytes: number): void => {
    const room = waitForTurn(
      writer(() => left.push(`${room}`)),
      bytes,
    );
    room.fill(letter);
  };
  return { left, waits };
}

/** A message that the kernel does not take. */
function waitsForEver(letter: string, bytes: number): Buffer {
  const held = waitForTurn(
    writer(() => leaveRoom(held)),
    bytes,
  );
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

test("a bug of one writer is told to it alone, and keeps no other message back", async () => {
  const { left, waits } = writers();
  const bugs: unknown[] = [];
  const writeWaiting = () => throwAgain("planted");
  for (const letter of ["a", "b"]) {
    waits(letter, WAITING_BYTES_MAX);
    waitForTurn({ writeWaiting, failed: (bug) => bugs.push(bug) }, WAITING_BYTES_MAX);
  }
  expect([left, bugs]).toEqual([[], []]);
  // There is no room for it: those before it leave now.
  waits("c", 1);
  expect([left.map((text) => text[0]), bugs]).toEqual([
    ["a", "b"],
    ["planted", "planted"],
  ]);
  await nextTurn();
  expect(left.at(-1)).toBe("c");
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
  const next = waitForTurn(writer(), 3);
  leaveRoom(held);
  const behind = waitForTurn(writer(), 3);
  expect(next.buffer).not.toBe(held.buffer);
  expect([other.buffer, behind.buffer]).toEqual([held.buffer, next.buffer]);
  expect(behind.byteOffset).toBe(3);
  await nextTurn();
});
