import type { Socket } from "node:net";
import { FLOW, type Flow } from "./stream.ts";

/**
 * Says what became of the bytes written to a socket so far.
 *
 * `write() === true` does not mean that bytes are out; an empty queue does. The queue's limit is
 * the socket's high-water mark, after which `drain` is emitted. Hot path.
 */
export function socketFlow(socket: Socket): Flow {
  if (socket.writableLength === 0) return FLOW.FLUSHED;
  return socket.writableNeedDrain ? FLOW.BLOCKED : FLOW.HELD;
}
