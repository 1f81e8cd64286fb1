import type { Socket } from "node:net";
import type { ExchangeContext } from "../exchange/context.ts";
import { answer } from "../exchange/respond.ts";
import type { FaultCode } from "../fault.ts";
import { encodeResponseHead } from "../http1/encode-head.ts";
import { Pieces } from "../http1/pieces.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { httpDate } from "../message/http-date.ts";

/**
 * Answers a connection that is not let in, and closes it: the status of `code`.
 *
 * Before: listener/listener.ts. After: exchange/respond.ts.
 * Invariant: one write, then gone within a second: it must not cost what an accepted one does.
 */
export function refuseConnection(
  socket: Socket,
  context: ExchangeContext,
  code: FaultCode,
  onClosed: () => void,
): void {
  const extra = ["date", httpDate(context.clock.epochMs()), "connection", "close"];
  const { head, body } = answer(code, context.workload, false, extra);
  // Not the socket's own timeout, which starts again with each byte that the caller sends.
  const timer = setTimeout(() => socket.destroy(), context.limits.drainedBodyMs);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    clearTimeout(timer);
    onClosed();
  });
  const pieces = new Pieces();
  encodeResponseHead(head, new HeadEdit(0), pieces);
  pieces.range(body, 0, body.length);
  socket.end(pieces.joined());
  socket.resume();
}
