import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Ticker } from "../../core/ticker.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { SocketEnd } from "./socket-end.ts";
import { Tunnel } from "./tunnel.ts";

/** A connection to a service, which keeps its own direction open. */
async function dial() {
  const server = createServer({ allowHalfOpen: true }, (accepted) => {
    accepted.on("error", () => accepted.destroy());
    accepted.resume();
    onTestFinished(() => void accepted.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return socket.pause();
}

test("a tunnel that is cut off in the turn in which one end has ended closes both", async () => {
  let nowMs = 0;
  const ticker = new Ticker(() => nowMs);
  onTestFinished(() => ticker.stop());
  const [caller, service] = await Promise.all([dial(), dial()]);
  const errors: Error[] = [];
  for (const socket of [caller, service]) socket.on("error", (error) => errors.push(error));
  const closed = [caller, service].map((socket) => once(socket, "close"));
  const ends = [new SocketEnd(caller, []), new SocketEnd(service, [])] as const;
  new Tunnel(...ends, ticker, DEFAULT_LIMITS, () => undefined);
  caller.emit("end");
  nowMs = DEFAULT_LIMITS.tunnelIdleMs;
  ticker.tick();
  await Promise.all(closed);
  expect(errors).toEqual([]);
});
