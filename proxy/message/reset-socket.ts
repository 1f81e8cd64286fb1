import type { Socket } from "node:net";

/**
 * Ends a connection with a reset, or at once where its orderly end is on its way.
 *
 * Before: whoever cuts off a connection. After: the kernel.
 * Why: within the turn in which an end was asked for, the system call that makes the reset is refused
 * (libuv: EINVAL), and Node then lets go of a socket that stays open for as long as the process.
 */
export function resetSocket(socket: Socket): void {
  const { writableEnded, writableFinished, writableLength } = socket;
  // What waits is written first: until then the end has not begun.
  const isEnding = writableEnded && !writableFinished && writableLength === 0;
  if (isEnding) socket.destroy();
  else socket.resetAndDestroy();
}
