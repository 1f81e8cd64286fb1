import { Buffer } from "node:buffer";

/**
 * The end of a turn of the event loop: small messages of all connections wait for it, and leave one
 * behind the other.
 *
 * Before: http1/message-writer.ts. After: the same, which hands its message to the socket.
 * Invariants: what waits leaves within the turn, in the order in which it came; room is used again only
 * when all that waited in it is with the kernel; a writer that throws keeps nobody else's message back.
 * Why: whoever waits for these messages is woken by the first one, and then finds the others, in place of
 * going to sleep and being woken for each; and one piece of code that runs again and again is in the
 * processor's memory.
 * Hot path.
 */

/** Somebody with a message that waits. */
export interface WaitingWriter {
  /** The turn ends, or the room does: hand it over. Must not add another one. */
  writeWaiting(): void;
  /** That threw, which is a bug of ours: it alone is to end. */
  failed(bug: unknown): void;
}

/** Longest message that waits, in bytes. */
export const WAITING_BYTES_MAX = 8 * 1024;

/**
 * For all that waits in a turn; when it is full the turn is cut in two. A hundred messages: what a stall of
 * some milliseconds leaves behind is worked off in turns of that size.
 */
const ROOM_BYTES = 4 * WAITING_BYTES_MAX;

let room = newRoom();
let used = 0;
let isPlanned = false;
const waiting: (WaitingWriter | null)[] = [];
let count = 0;

/** Gives room for a message of `bytes`, at most WAITING_BYTES_MAX, that waits for the end of the turn. */
export function waitForTurn(writer: WaitingWriter, bytes: number): Buffer {
  if (bytes > ROOM_BYTES - used) endTurn();
  if (!isPlanned) {
    isPlanned = true;
    setImmediate(onTurn);
  }
  waiting[count++] = writer;
  const start = used;
  used += bytes;
  return room.subarray(start, used);
}

/** A socket holds on to bytes that waited: nobody writes again to the room that they are in. */
export function leaveRoom(bytes: Buffer): void {
  if (bytes.buffer !== room.buffer) return;
  room = newRoom();
  used = 0;
}

/** Has all that waits leave now. */
export function endTurn(): void {
  for (let i = 0; i < count; i++) {
    const writer = waiting[i] ?? null;
    waiting[i] = null;
    if (writer !== null) writeSafely(writer);
  }
  count = 0;
  used = 0;
}

function writeSafely(writer: WaitingWriter): void {
  try {
    writer.writeWaiting();
  } catch (bug) {
    writer.failed(bug);
  }
}

function onTurn(): void {
  isPlanned = false;
  endTurn();
}

function newRoom(): Buffer {
  return Buffer.allocUnsafeSlow(ROOM_BYTES);
}
