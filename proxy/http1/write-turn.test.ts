import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { haveLongTurn } from "./write-turn.fake.ts";
import { endTurn, leaveRoom, WAITING_BYTES_MAX, waitForTurn } from "./write-turn.ts";

/** Writers whose messages are letters, and what has left so far. */
function writers() {
  const left: string[] = [];
  const waits = (letter: string, bytes: number): boolean => {
    const room = waitForTurn({ writeWaiting: () => left.push(`${room}`) }, bytes);
    room?.fill(letter);
    return room !== null;
  };
  return { left, waits };
}

/** A message that the kernel does not take. */
function waitsForEver(letter: string, bytes: number): Buffer | null {
  const held = waitForTurn({ writeWaiting: () => held !== null && leaveRoom(held) }, bytes);
  return held?.fill(letter) ?? null;
}

test("messages of a turn leave at its end, in their order", async () => {
  await haveLongTurn();
  const { left, waits } = writers();
  expect([waits("a", 3), waits("b", 1), waits("c", 2)]).toEqual([true, true, true]);
  expect(left).toEqual([]);
  await nextTurn();
  expect(left).toEqual(["aaa", "b", "cc"]);
});

test("what finds no room any more has those before it leave, and waits itself", async () => {
  await haveLongTurn();
  const { left, waits } = writers();
  for (const letter of ["a", "b", "c"]) waits(letter, WAITING_BYTES_MAX);
  expect(left.map((text) => text[0])).toEqual(["a", "b"]);
  await nextTurn();
  expect(left).toEqual(["a", "b", "c"].map((letter) => letter.repeat(WAITING_BYTES_MAX)));
});

test("room that a socket holds is not written to again, also while others wait in it", async () => {
  await haveLongTurn();
  const { left, waits } = writers();
  const held = waitsForEver("x", 3);
  waits("a", 3);
  endTurn();
  for (const letter of ["b", "c"]) waits(letter, WAITING_BYTES_MAX);
  await nextTurn();
  expect([`${held}`, left.map((text) => text.slice(0, 3))]).toEqual(["xxx", ["aaa", "bbb", "ccc"]]);
});

test("sockets that hold bytes of one room have it replaced once", async () => {
  await haveLongTurn();
  const held = ["x", "y"].map((letter) => waitsForEver(letter, 3));
  endTurn();
  const next = waitForTurn({ writeWaiting: () => undefined }, 3);
  if (held[0] !== null && held[0] !== undefined) leaveRoom(held[0]);
  const behind = waitForTurn({ writeWaiting: () => undefined }, 3);
  expect(next?.buffer).not.toBe(held[0]?.buffer);
  expect([held[1]?.buffer, behind?.buffer]).toEqual([held[0]?.buffer, next?.buffer]);
  expect(behind?.byteOffset).toBe(3);
  await nextTurn();
});

test("where turns are short messages do not wait, and after a while it is tried again", async () => {
  await haveLongTurn();
  const { waits } = writers();
  for (let turn = 0; turn < 4; turn++) {
    expect(waits("a", 1)).toBe(true);
    await nextTurn();
  }
  let atOnce = 0;
  while (!waits("a", 1)) atOnce++;
  expect(atOnce).toBe(128);
});
