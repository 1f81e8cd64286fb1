import type { Socket } from "node:net";
import type { ExchangeContext } from "../exchange/context.ts";
import { answer } from "../exchange/respond.ts";
import { encodeResponseHead } from "../http1/encode-head.ts";
import { HeadEdit } from "../message/head-edit.ts";

/**
 * Answers a connection that is one too many, and closes it: 503 `connection-limit`.
 *
 * Before: listener/listener.ts. After: exchange/respond.ts.
 * Invariant: one write, then gone within a second: it must not cost what an accepted one does.
 */
export function refuseConnection(socket: Socket, context: ExchangeContext): void {
  const extra = ["connection", "close"];
  const { head, body } = answer("connection-limit", context.workload, false, extra);
  // Not the socket's own timeout, which starts again with each byte that the caller sends.
  const timer = setTimeout(() => socket.destroy(), context.limits.drainedBodyMs);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => clearTimeout(timer));
  socket.end(Buffer.concat([encodeResponseHead(head, new HeadEdit(0)), body]));
  socket.resume();
}
