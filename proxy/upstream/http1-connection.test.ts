import { expect, onTestFinished, test } from "vitest";
import { type OnBug, throwAgain } from "../../core/invariant.ts";
import { Ticker } from "../../core/ticker.ts";
import { inMemory, type MemorySocket } from "../../test/fuzz/in-memory.ts";
import { getWith, requestHead } from "../../test/harness/parsed-head.ts";
import { endTurn } from "../http1/write-turn.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { FLOW, type ResponseListener } from "../message/stream.ts";
import { Http1UpstreamConnection } from "./http1-connection.ts";

/** A connection that has carried nothing yet, and its socket. */
function open(onBug: OnBug = throwAgain) {
  const ticker = new Ticker(() => 0);
  onTestFinished(() => ticker.stop());
  const owner = {
    onConnected() {},
    onConnectFault() {},
    onIdle() {},
    onClosed() {},
    onBug,
  };
  return inMemory((connected) => {
    const address = { host: "127.0.0.1", port: 1 };
    const connection = new Http1UpstreamConnection(
      ...(["127.0.0.1:1", address, 1_000, owner, DEFAULT_LIMITS, ticker] as const),
    );
    const socket = connected[0] as MemorySocket;
    socket.connected();
    return { connection, socket };
  });
}

/** What an exchange is told, in words. */
function listening() {
  const told: string[] = [];
  const listener: ResponseListener = {
    onInterimHead: (head) => told.push(`interim ${head.status}`),
    onSwitchingHead: () => told.push("switching"),
    onResponseHead: (head) => told.push(`head ${head.status}`),
    onResponseBody: (bytes) => told.push(`body ${bytes}`),
    onResponseBatch: () => FLOW.FLUSHED,
    onResponseEnd: () => {
      told.push("end");
      return FLOW.FLUSHED;
    },
    onUpstreamFlowing: () => told.push("flowing"),
    onUpstreamFault: (code) => told.push(`fault ${code}`),
    abandon: () => told.push("abandoned"),
  };
  return { listener, told };
}

/** A GET that waits for the end of the turn. */
async function getThatWaits({ connection, socket } = open()) {
  const { listener, told } = listening();
  connection.begin(listener);
  connection.sendHead(getWith(), new HeadEdit(10));
  connection.sendEnd(null);
  connection.flush();
  return { connection, socket, told };
}

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

test("what arrives before the request has left is no answer to it", async () => {
  const { connection, socket, told } = await getThatWaits();
  socket.receiveInTurn(ANSWER);
  endTurn();
  expect(told).toEqual(["fault upstream-closed"]);
  expect([connection.hasResponseBytes, socket.written]).toEqual([false, ""]);
  expect(socket.closed).not.toBeNull();
});

test("what arrives behind it is", async () => {
  const { connection, socket, told } = await getThatWaits();
  endTurn();
  expect(socket.written).toMatch(/^GET /);
  socket.receive(ANSWER);
  expect(told).toEqual(["head 200", "body ok", "end"]);
  expect([connection.isIdle, socket.closed]).toEqual([true, null]);
});

test("a request that is given up before it has left is not sent", async () => {
  const { connection, socket } = await getThatWaits();
  connection.abort();
  endTurn();
  expect([socket.written, socket.closed]).toEqual(["", "closed"]);
});

test("a bug met when its turn ends closes that connection, and no other request stays behind", async () => {
  const bugs: unknown[] = [];
  const both = [open((bug) => bugs.push(bug)), open()];
  const [buggy, other] = [await getThatWaits(both[0]), await getThatWaits(both[1])];
  buggy.socket.write = () => throwAgain("planted");
  endTurn();
  expect([buggy.told, buggy.socket.closed, bugs]).toEqual([["abandoned"], "closed", ["planted"]]);
  expect([other.told, other.socket.closed]).toEqual([[], null]);
  expect(other.socket.written).toMatch(/^GET /);
});

test("an answer that comes while content waits is one, but nothing may follow on its connection", async () => {
  const { connection, socket } = open();
  const { listener, told } = listening();
  connection.begin(listener);
  const head = requestHead(["POST / HTTP/1.1", "Host: shop.test", "Content-Length: 4"]);
  connection.sendHead(head, new HeadEdit(10));
  connection.flush();
  endTurn();
  expect(socket.written).toMatch(/^POST /);
  connection.sendBody(Buffer.from("body"));
  connection.sendEnd(null);
  connection.flush();
  socket.receiveInTurn(ANSWER);
  expect(told).toEqual(["head 200", "body ok", "end"]);
  expect([connection.isIdle, socket.closed]).toEqual([false, "closed"]);
});
