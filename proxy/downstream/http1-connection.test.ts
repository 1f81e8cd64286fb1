import { expect, test } from "vitest";
import { throwAgain } from "../../core/invariant.ts";
import { inMemory, MemorySocket } from "../../test/fuzz/in-memory.ts";
import { contextOf } from "../../test/fuzz/relay-context.ts";
import { endTurn } from "../http1/write-turn.ts";
import { Http1DownstreamConnection } from "./http1-connection.ts";
import { MessagePartsPool } from "./message-parts.ts";

/** What becomes of an answer that waits for the end of the turn when something happens within it. */
async function answeredInTurn(
  answer: string,
  happens: (
    upstream: MemorySocket,
    connection: Http1DownstreamConnection,
    caller: MemorySocket,
  ) => void,
  request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
) {
  return inMemory((connected) => {
    const caller = new MemorySocket(null);
    const context = contextOf({ kind: "requests", text: "", methods: [], limits: "default" });
    const parts = new MessagePartsPool(context.limits);
    const connection = new Http1DownstreamConnection(
      ...([caller.socket, context, () => undefined, null, parts] as const),
    );
    caller.receive(request);
    const upstream = connected[0] as MemorySocket;
    upstream.connected();
    upstream.receiveInTurn(answer);
    expect(caller.written).toBe("");
    happens(upstream, connection, caller);
    return { text: caller.written, closed: caller.closed };
  });
}

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

test("it leaves before the connection is closed by a stop", async () => {
  const orderly = await answeredInTurn(ANSWER, (_, connection) => connection.closeIfIdle());
  expect([orderly.text, orderly.closed]).toEqual([expect.stringMatching(/^HTTP.*ok$/s), "ended"]);
  const cutOff = await answeredInTurn(ANSWER, (_, connection) => connection.destroy());
  expect([cutOff.text, cutOff.closed]).toEqual([expect.stringMatching(/^HTTP.*ok$/s), "closed"]);
});

test("a bug met when its turn ends closes the connection", async () => {
  const bug = new Error("planted");
  const met = await answeredInTurn(ANSWER, (_upstream, _connection, caller) => {
    caller.write = () => throwAgain(bug);
    // It is told to the context, and that of a test throws.
    expect(endTurn).toThrow(bug);
  });
  expect(met.closed).toBe("closed");
});

test("what there is of it leaves before the connection is cut off", async () => {
  const sized = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
  const cut = await answeredInTurn(sized, (upstream) => upstream.emit("close"));
  expect([cut.text, cut.closed]).toEqual([expect.stringMatching(/^HTTP.*part$/s), "closed"]);
});

const OLD_REQUEST = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";

test("it does not look whole where the connection is its end", async () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
  const cut = await answeredInTurn(chunked, (upstream) => upstream.emit("close"), OLD_REQUEST);
  expect([cut.text, cut.closed]).toEqual([expect.stringMatching(/^HTTP.*part$/s), "reset"]);
});

const UPGRADE = "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";

test("the agreement to an upgrade leaves before its tunnel ends", async () => {
  const switching = `HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}`;
  const request = `GET / HTTP/1.1\r\nHost: a\r\n${UPGRADE}`;
  const ended = await answeredInTurn(switching, (upstream) => upstream.emit("end"), request);
  expect([ended.text, ended.closed]).toEqual([expect.stringMatching(/^HTTP\/1.1 101 /), "ended"]);
});
