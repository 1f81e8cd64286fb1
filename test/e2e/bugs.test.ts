import { expect, test } from "vitest";
import type { ExchangeSink } from "../../proxy/exchange/record.ts";
import { Connection, get } from "../harness/client.ts";
import { type DataPlane, startDataPlane } from "../harness/data-plane.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** A sink with a bug that one path provokes. */
const buggy: ExchangeSink = {
  finished: ({ target }) => {
    if (target === "/bug") throw new Error("planted");
  },
};

/** A data plane whose requests for `/bug` meet a bug, and what it said of bugs. */
async function startBuggy() {
  const bugs: unknown[] = [];
  const baseline = await startUpstream((request, socket) => {
    if (!request.head.includes("Upgrade: websocket")) return response("ok");
    socket.removeAllListeners("data");
    socket.on("data", () => socket.resetAndDestroy());
    return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  });
  const plane = await startDataPlane({
    baseline: baseline.at,
    sinks: [buggy],
    onBug: (bug) => bugs.push(bug),
  });
  return { plane, bugs };
}

test("a bug met while the upstream is read closes that exchange's connections, and no others", async () => {
  const { plane, bugs } = await startBuggy();
  const other = await Connection.open(plane.port);
  other.write("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await other.response()).body).toBe("ok");
  expect((await get(plane.port, { path: "/bug" })).closed).not.toBe("open");
  expect(bugs).toEqual([new Error("planted")]);
  other.write("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await other.response()).body).toBe("ok");
  expect(plane.listener.connections).toBe(1);
});

test("so does one met while the caller is read", async () => {
  const { plane, bugs } = await startBuggy();
  const connection = await Connection.open(plane.port);
  // Refused at once, and the sink is told of it within the same read.
  connection.write("GET /bug HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n");
  await connection.until(() => false);
  expect([bugs.length, plane.listener.connections, plane.pool.connections]).toEqual([1, 0, 0]);
  expect((await get(plane.port)).body).toBe("ok");
});

test("so does one met at a deadline", async () => {
  const { plane, bugs } = await startBuggy();
  const connection = await Connection.open(plane.port);
  connection.write("POST /bug HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  await expect.poll(() => plane.pool.connections).toBe(1);
  connection.socket.end();
  await connection.until(() => false);
  expect([bugs.length, plane.listener.connections]).toEqual([1, 0]);
  await expect.poll(() => plane.pool.connections).toBe(0);
});

test.each([
  ["its caller", (callers: Connection) => callers.socket.resetAndDestroy()],
  ["its service", (callers: Connection) => callers.write("be gone")],
  ["a stop", (_: Connection, plane: DataPlane) => plane.listener.close()],
])("so does one met at the end of a tunnel that %s cuts off", async (_who, cutOff) => {
  const { plane, bugs } = await startBuggy();
  const connection = await Connection.open(plane.port);
  connection.write(
    "GET /bug HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  expect((await connection.response()).status).toBe(101);
  cutOff(connection, plane);
  await expect.poll(() => bugs).toEqual([new Error("planted")]);
  const left = () => [plane.listener.connections, plane.pool.connections, plane.ticker.size];
  await expect.poll(left).toEqual([0, 0, 0]);
});
