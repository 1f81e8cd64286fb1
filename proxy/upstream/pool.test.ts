import { createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { throwAgain } from "../../core/invariant.ts";
import { Ticker } from "../../core/ticker.ts";
import { getWith } from "../../test/harness/parsed-head.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { FLOW, type ResponseListener } from "../message/stream.ts";
import { type UpstreamConnection, UpstreamPool, type UpstreamWaiter } from "./pool.ts";

/** Who waits for a connection, and what it was told. */
class Waiter implements UpstreamWaiter {
  readonly told: (UpstreamConnection | string)[] = [];

  onUpstreamReady(connection: UpstreamConnection): void {
    this.told.push(connection);
  }

  onUpstreamConnectFault(code: string): void {
    this.told.push(code);
  }

  /** The connection that it got, once it has. */
  async connection(): Promise<UpstreamConnection> {
    await expect.poll(() => this.told.length).toBeGreaterThan(0);
    const [first] = this.told;
    if (first === undefined || typeof first === "string") throw new Error(`refused: ${first}`);
    return first;
  }
}

/** A server on a port of its own that answers every read with `answer`. */
async function startServer(answer = "HTTP/1.1 204 No Content\r\n\r\n") {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { at: `127.0.0.1:${port}`, port, sockets };
}

function startPool(limits: Partial<Limits> = {}) {
  const time = { nowMs: 0 };
  const ticker = new Ticker(() => time.nowMs);
  const pool = new UpstreamPool({ ...DEFAULT_LIMITS, ...limits }, ticker, throwAgain);
  onTestFinished(() => {
    pool.close();
    ticker.stop();
  });
  const passMs = (ms: number): void => {
    time.nowMs += ms;
    ticker.tick();
  };
  const ask = (at: string, fresh: "any" | "recent" | "new" = "any"): Waiter => {
    const waiter = new Waiter();
    pool.request(at, fresh, waiter);
    return waiter;
  };
  return { pool, ticker, passMs, ask };
}

/** Sends a request, with a body or without, and waits until its response is over. */
async function useOnce(connection: UpstreamConnection, body?: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const listener: ResponseListener = {
      onInterimHead: () => undefined,
      onSwitchingHead: () => undefined,
      onResponseHead: () => undefined,
      onResponseBody: () => undefined,
      onResponseBatch: () => FLOW.FLUSHED,
      onResponseEnd: () => {
        resolve();
        return FLOW.FLUSHED;
      },
      onUpstreamFlowing: () => undefined,
      onUpstreamFault: (code) => reject(new Error(code)),
      abandon: () => reject(new Error("a bug")),
    };
    connection.begin(listener);
    connection.sendHead(getWith(), new HeadEdit(10));
    if (body !== undefined) connection.sendBody(body);
    connection.sendEnd(null);
    connection.flush();
  });
}

describe("the pool", () => {
  test("gives a connection that is idle at once, and the one used last first", async () => {
    const server = await startServer();
    const { ask, pool } = startPool();
    const [first, second] = await Promise.all([
      ask(server.at).connection(),
      ask(server.at).connection(),
    ]);
    await useOnce(second);
    await useOnce(first);
    expect(ask(server.at).told).toEqual([first]);
    expect(ask(server.at).told).toEqual([second]);
    expect([first.isReused, pool.connections, server.sockets.length]).toEqual([true, 2, 2]);
  });

  test("gives a request that cannot be repeated one that is new, or was idle for less than upstreamFreshMs", async () => {
    const server = await startServer();
    const { ask, passMs } = startPool({ upstreamFreshMs: 1_000, upstreamIdleMs: 60_000 });
    const first = await ask(server.at).connection();
    await useOnce(first);
    passMs(1_000);
    expect(ask(server.at, "recent").told).toEqual([first]);
    await useOnce(first);
    passMs(1_001);
    const other = await ask(server.at, "recent").connection();
    expect(other).not.toBe(first);
    expect(ask(server.at, "any").told).toEqual([first]);
  });

  test("closes what is idle for longer than upstreamIdleMs", async () => {
    const server = await startServer();
    const { ask, passMs, pool, ticker } = startPool({ upstreamIdleMs: 3_000 });
    await useOnce(await ask(server.at).connection());
    passMs(2_999);
    expect(pool.connections).toBe(1);
    passMs(1);
    expect([pool.connections, ticker.size]).toEqual([0, 0]);
  });

  test.each([
    ["Keep-Alive: timeout=2\r\n", 1_500],
    ["Keep-Alive: max=5, timeout=60\r\n", 3_000],
    ["Keep-Alive: nonsense\r\n", 3_000],
    ["Connection: keep-alive\r\n", 3_000],
  ])("after `%s` trusts a connection for %i ms", async (fields, idleMs) => {
    const server = await startServer(`HTTP/1.1 204 No Content\r\n${fields}\r\n`);
    const { ask, passMs, pool } = startPool();
    await useOnce(await ask(server.at).connection());
    passMs(idleMs - 1);
    expect(pool.connections).toBe(1);
    passMs(1);
    expect(pool.connections).toBe(0);
  });

  test.each([
    "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n",
    "HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\nx",
  ])("does not use a connection again after %j", async (answer) => {
    const server = await startServer(answer);
    const { ask, pool } = startPool();
    await useOnce(await ask(server.at).connection());
    expect(pool.connections).toBe(0);
  });

  test.each([
    ["127.0.0.1", "connectLocalMs"],
    ["0.0.0.0", "connectMs"],
  ] as const)("gives up connecting to %s after %s, told twice", async (host, limit) => {
    const server = await startServer();
    const { ask, passMs, pool } = startPool({ connectLocalMs: 300, connectMs: 300, [limit]: 200 });
    // No time for the kernel to say that it is connected: the clock is ours.
    const waiter = ask(`${host}:${server.port}`);
    passMs(199);
    passMs(1);
    expect(waiter.told).toEqual([]);
    passMs(1);
    expect([waiter.told, pool.connections]).toEqual([["connect-timeout"], 0]);
  });

  test("tells each waiter once, of an address that cannot be or where nobody listens", async () => {
    const { ask, pool } = startPool();
    expect(ask("nonsense").told).toEqual(["connect-refused"]);
    const waiters = [ask("127.0.0.1:1"), ask("127.0.0.1:1"), ask("127.0.0.1:1")];
    await expect.poll(() => pool.connections).toBe(0);
    expect(waiters.map((it) => it.told)).toEqual(Array(3).fill(["connect-refused"]));
  });

  test("lets wait whoever is past upstreamConnectionsMax, in order, and refuses past upstreamWaitingMax", async () => {
    const server = await startServer();
    const { ask, pool } = startPool({ upstreamConnectionsMax: 1, upstreamWaitingMax: 2 });
    const connection = await ask(server.at).connection();
    const [second, third, fourth] = [ask(server.at), ask(server.at), ask(server.at)];
    expect(fourth.told).toEqual(["pool-full"]);
    await useOnce(connection);
    expect([second.told, third.told, pool.connections]).toEqual([[connection], [], 1]);
    connection.abort();
    const next = await third.connection();
    expect([next === connection, pool.connections]).toEqual([false, 1]);
  });

  test("closes the oldest idle connection for somebody who needs a fresh one", async () => {
    const server = await startServer();
    const { ask, pool } = startPool({ upstreamConnectionsMax: 1 });
    const old = await ask(server.at).connection();
    await useOnce(old);
    const fresh = await ask(server.at, "new").connection();
    expect([fresh === old, pool.connections]).toEqual([false, 1]);
  });

  test("forgets a waiter that has gone: its turn is the next one's", async () => {
    const server = await startServer();
    const { ask, pool } = startPool({ upstreamConnectionsMax: 1, upstreamWaitingMax: 1 });
    const connection = await ask(server.at).connection();
    const gone = ask(server.at);
    pool.withdraw(server.at, gone);
    pool.withdraw("127.0.0.1:1", gone);
    const next = ask(server.at);
    await useOnce(connection);
    expect([gone.told, next.told]).toEqual([[], [connection]]);
  });

  test("closes idle connections to endpoints that left, and busy ones after their exchange", async () => {
    const server = await startServer();
    const { ask, pool } = startPool();
    const busy = await ask(server.at).connection();
    const idle = await ask(server.at).connection();
    await useOnce(idle);
    const connecting = ask(server.at, "new");
    const answered = useOnce(busy);
    pool.retain(() => false);
    expect(pool.connections).toBe(2);
    await answered;
    expect(pool.connections).toBe(1);
    const late = await connecting.connection();
    pool.giveBack(late);
    expect(pool.connections).toBe(0);
  });

  test("never gives a used connection to who needs a new one, at its limit either", async () => {
    const server = await startServer();
    const { ask, pool } = startPool({ upstreamConnectionsMax: 1 });
    const used = await ask(server.at).connection();
    const waiter = ask(server.at, "new");
    await useOnce(used);
    const given = await waiter.connection();
    expect(given).not.toBe(used);
    expect([given.isReused, pool.connections]).toEqual([false, 1]);
  });

  test("uses no connection again whose service has not read all of the request it answered", async () => {
    const { ask, pool } = startPool();
    const server = await startServer();
    const connection = await ask(server.at).connection();
    await expect.poll(() => server.sockets.length).toBe(1);
    const [socket] = server.sockets as [Socket];
    // It reads the first only, and answers that; the rest is more than the kernel keeps for it.
    socket.once("data", () => socket.pause());
    const body = Buffer.alloc(32 * 1024 * 1024);
    await useOnce(connection, body);
    expect(pool.connections).toBe(0);
    expect(socket.bytesRead).toBeLessThan(body.length);
  });

  test.each([
    [9, 1],
    [10, 0],
  ])("after a response with %i connection options it keeps %i connections", async (count, kept) => {
    const options = Array.from({ length: count }, (_, i) => `x-${i}`).join(", ");
    const server = await startServer(`HTTP/1.1 204 No Content\r\nConnection: ${options}\r\n\r\n`);
    const { ask, pool } = startPool();
    await useOnce(await ask(server.at).connection());
    expect(pool.connections).toBe(kept);
  });

  test("refuses in time who joined another line when it was refused itself", async () => {
    const [one, other] = [await startServer(), await startServer()];
    const { ask, pool, passMs } = startPool({ upstreamConnectionsMax: 1, upstreamWaitMs: 1_000 });
    await ask(one.at).connection();
    await ask(other.at).connection();
    const later = new Waiter();
    ask(one.at);
    pool.request(other.at, "any", {
      onUpstreamReady: () => undefined,
      onUpstreamConnectFault: () => pool.request(one.at, "any", later),
    });
    passMs(1_000);
    expect([pool.waiting, later.told]).toEqual([1, []]);
    passMs(1_000);
    expect([pool.waiting, later.told]).toEqual([0, ["pool-full"]]);
  });

  test("opens nothing any more once it is closed", async () => {
    const server = await startServer();
    const { ask, pool, ticker } = startPool({ upstreamConnectionsMax: 1 });
    await ask(server.at).connection();
    ask(server.at);
    pool.close();
    expect([pool.connections, ticker.size]).toEqual([0, 0]);
  });
});
