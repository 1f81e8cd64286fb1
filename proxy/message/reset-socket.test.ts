import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { resetSocket } from "./reset-socket.ts";

/** Two ends of a connection, of which neither closes because the other does. */
async function pair(): Promise<{ readonly socket: Socket; readonly peer: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[peer]] = await Promise.all([once(server, "connection"), once(socket, "connect")]);
  onTestFinished(() => {
    socket.destroy();
    (peer as Socket).destroy();
    server.close();
  });
  return { socket, peer: peer as Socket };
}

/** How an end learns of the other's: a reset, or its close. */
async function endOf(peer: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  peer.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  peer.on("end", () => resolve("end"));
  peer.resume();
  return await promise;
}

test("an open connection ends with a reset", async () => {
  const { socket, peer } = await pair();
  resetSocket(socket);
  expect(await endOf(peer)).toBe("ECONNRESET");
});

test("so does one with bytes behind which its end waits", async () => {
  const { socket, peer } = await pair();
  while (socket.writableLength === 0) socket.write(Buffer.alloc(1024 * 1024));
  socket.end();
  const closed = once(socket, "close");
  resetSocket(socket);
  await closed;
  expect(await endOf(peer)).toBe("ECONNRESET");
});

test.each(["in the same turn", "in a later one"])(
  "one whose end was asked for %s is closed all the same",
  async (when) => {
    const { socket, peer } = await pair();
    socket.end();
    if (when === "in a later one") await nextTurn();
    const closed = once(socket, "close");
    resetSocket(socket);
    await closed;
    expect(await endOf(peer)).toMatch(/^(?:end|ECONNRESET)$/);
  },
);
