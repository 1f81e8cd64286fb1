import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { HandClock } from "../../proxy/watch/watched-proxy.fake.ts";
import { Connection, get } from "../harness/client.ts";
import { listenRaw, startDataPlane } from "../harness/data-plane.ts";
import { NOBODY } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** What peers do that no peer should, and what must come of it. */
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

/** Looks in a row that have to be alike until nothing more is believed to come, and the time between two. */
const LOOKS = 8;
const LOOK_MS = 50;

/** Waits until a count goes up no more: a stall of the process is one look, whatever its length. */
async function untilStill(count: () => number): Promise<void> {
  let [before, alike] = [0, 0];
  while (alike < LOOKS || before === 0) {
    await wait(LOOK_MS);
    await turn();
    alike = count() === before ? alike + 1 : 0;
    before = count();
  }
}

async function open(port: number): Promise<Connection> {
  const connection = await Connection.open(port);
  onTestFinished(() => connection.close());
  return connection;
}

describe("a caller", () => {
  test.each([1, 65_536])(
    "whose request with a body failed to connect goes on with the next one (%i bytes are held)",
    async (bufferedBytesMax) => {
      const plane = await startDataPlane({ baseline: NOBODY, limits: { bufferedBytesMax } });
      const connection = await open(plane.port);
      for (let i = 0; i < 3; i++) {
        connection.write(POST);
        expect((await connection.response()).fields["forklane-fault"]).toMatch(/^connect-refused/);
      }
      expect(plane.recorded.map((it) => it.fault)).toEqual(Array(3).fill("connect-refused"));
    },
  );

  test("that pipelines and reads nothing is not read from without end", async () => {
    const body = "x".repeat(32 * 1024);
    const baseline = await startUpstream(response(body));
    const plane = await startDataPlane({ baseline: baseline.at });
    const socket = connect({ host: "127.0.0.1", port: plane.port });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.pause();
    for (let i = 0; i < 2_000; i++) socket.write(GET);
    await untilStill(() => plane.recorded.length);
    // The kernel takes some MB; 2,000 answers are 64 MB.
    expect(plane.recorded.length).toBeLessThan(800);
    let bytes = 0;
    socket.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    socket.resume();
    await expect.poll(() => plane.recorded.length, { timeout: 15_000 }).toBe(2_000);
    await expect.poll(() => bytes, { timeout: 5_000 }).toBeGreaterThan(2_000 * body.length);
  });

  test("that pipelines refusals and reads nothing is not read from without end", async () => {
    const plane = await startDataPlane({ baseline: NOBODY });
    const socket = connect({ host: "127.0.0.1", port: plane.port });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.pause();
    const refused = "GET / HTTP/1.1\r\nHost: a\r\nbaggage: sandbox=a!\r\n\r\n";
    const total = 40_000;
    socket.write(refused.repeat(total));
    await untilStill(() => plane.recorded.length);
    expect(plane.recorded.length).toBeLessThan(total - 1);
    socket.resume();
    await expect.poll(() => plane.recorded.length, { timeout: 10_000 }).toBe(total);
  });

  test("that was gone before it was let in is not taken for somebody else", async () => {
    const baseline = await startUpstream(response("baseline"));
    const plane = await startDataPlane({ baseline: baseline.at });
    const gone = Array.from({ length: 100 }, async () => {
      const socket = connect({ host: "127.0.0.1", port: plane.port });
      socket.on("connect", () => {
        socket.write("GET / HTTP/1.1\r\nHost: a\r\nbaggage: sandbox=nobodys!\r\n\r\n");
        socket.resetAndDestroy();
      });
      await once(socket, "close");
    });
    await Promise.all(gone);
    // Connections are let in in the order in which they came.
    expect((await get(plane.port, { tag: "nobodys!" })).status).toBe(424);
    await expect.poll(() => plane.listener.connections).toBe(0);
    expect(baseline.requests).toEqual([]);
    expect(plane.recorded.filter((it) => it.tagText === "")).toEqual([]);
  });

  test("that never reads the end of its response is closed after a while", async () => {
    const baseline = await startUpstream(response("x".repeat(32 * 1024)));
    const clock = new HandClock();
    const limits = { bodyIdleMs: 200 };
    const plane = await startDataPlane({ baseline: baseline.at, limits, clock });
    const socket = connect({ host: "127.0.0.1", port: plane.port });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.pause();
    for (let i = 0; i < 2_000; i++) socket.write(GET);
    await untilStill(() => plane.recorded.length);
    expect(plane.recorded.length).toBeGreaterThan(50);
    clock.ms += 199;
    plane.ticker.tick();
    expect(plane.listener.connections).toBe(1);
    clock.ms += 1;
    plane.ticker.tick();
    await expect.poll(() => plane.listener.connections).toBe(0);
  });

  test("that closes its direction while responses wait for it gets all of them", async () => {
    const baseline = await startUpstream(response("x".repeat(32 * 1024)));
    const plane = await startDataPlane({ baseline: baseline.at });
    const one = (await get(plane.port)).text.length;
    const socket = connect({ host: "127.0.0.1", port: plane.port, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.pause();
    socket.write(GET.repeat(1_000));
    await untilStill(() => plane.recorded.length);
    socket.end();
    await wait(50);
    let got = 0;
    socket.on("data", (piece: Buffer) => {
      got += piece.length;
    });
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    expect(plane.recorded.length).toBeLessThan(1_001);
    expect(got).toBe((plane.recorded.length - 1) * one);
  });

  test("that dribbles the rest of a body already answered is closed in time", async () => {
    const baseline = await listenRaw((socket) => {
      socket.once("data", () => socket.write(response("early")));
    });
    const plane = await startDataPlane({ baseline, limits: { drainedBodyMs: 200 } });
    const connection = await open(plane.port);
    connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n1");
    expect((await connection.response()).body).toBe("early");
    const timer = setInterval(() => connection.write("2"), 40);
    onTestFinished(() => clearInterval(timer));
    await expect.poll(() => plane.listener.connections).toBe(0);
  });

  test.each([
    ["in chunks", "zz\r\n", "body-malformed"],
    ["in trailers", "0\r\nContent-Length: 5\r\n\r\n", "body-malformed"],
    ["in their number", `0\r\n${"X: 1\r\n".repeat(40)}\r\n`, "trailers-too-large"],
  ])(
    "whose body goes wrong %s behind its answer is counted, and closed",
    async (_, bytes, code) => {
      const baseline = await listenRaw((socket) => {
        socket.once("data", () => socket.write(response("early")));
      });
      const late: string[] = [];
      const plane = await startDataPlane({ baseline, onLateFault: (fault) => late.push(fault) });
      const connection = await open(plane.port);
      connection.write(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
      );
      expect((await connection.response()).body).toBe("early");
      connection.write(bytes);
      await connection.until(() => false);
      expect([late, connection.text, connection.closed]).toEqual([[code], "", "ended"]);
    },
  );

  test("past the limit of connections does not stay by sending on", async () => {
    const baseline = await startUpstream(response("ok"));
    const plane = await startDataPlane({
      baseline: baseline.at,
      limits: { downstreamConnectionsMax: 1, drainedBodyMs: 200 },
    });
    await open(plane.port);
    const second = connect({ host: "127.0.0.1", port: plane.port, allowHalfOpen: true });
    second.resume();
    let isClosed = false;
    second.on("error", () => undefined);
    second.on("close", () => {
      isClosed = true;
    });
    const timer = setInterval(() => second.write("x"), 40);
    onTestFinished(() => {
      clearInterval(timer);
      second.destroy();
    });
    await expect.poll(() => isClosed).toBe(true);
  });

  test("that gave up waiting for a connection does not take the place of others", async () => {
    const sockets: Socket[] = [];
    const baseline = await startUpstream((_request, socket) => {
      sockets.push(socket);
      return null;
    });
    const plane = await startDataPlane({
      baseline: baseline.at,
      limits: { upstreamConnectionsMax: 1, upstreamWaitingMax: 1 },
    });
    const first = await open(plane.port);
    first.write(GET);
    await expect.poll(() => sockets.length).toBe(1);
    for (let i = 1; i <= 5; i++) {
      const impatient = await open(plane.port);
      impatient.write(POST);
      await expect.poll(() => plane.pool.waiting).toBe(1);
      impatient.close();
      await expect.poll(() => plane.recorded.length).toBe(i);
    }
    const patient = await open(plane.port);
    patient.write(GET);
    await expect.poll(() => plane.pool.waiting).toBe(1);
    sockets[0]?.write(response("first"));
    expect((await first.response()).body).toBe("first");
    await expect.poll(() => sockets.length).toBe(2);
    sockets[1]?.write(response("second"));
    expect((await patient.response()).body).toBe("second");
    expect(baseline.requests.length).toBe(2);
  });

  test("is told of the end of a drain, if its response was not begun", async () => {
    const baseline = await startUpstream(() => null);
    const plane = await startDataPlane({ baseline: baseline.at });
    const connection = await open(plane.port);
    connection.write(GET);
    await expect.poll(() => baseline.requests.length).toBe(1);
    expect(await plane.listener.drain()).toBe(1);
    const seen = await connection.response();
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([503, "draining; by=shop/cart"]);
    expect(plane.recorded).toMatchObject([{ fault: "draining", status: 503 }]);
    expect(plane.listener.connections).toBe(0);
  });
});

describe("an upstream", () => {
  test("that takes its time after a slow upload is not timed out by the upload's deadline", async () => {
    const body = 8 * 1024 * 1024;
    const baseline = await listenRaw((socket) => {
      let bytes = 0;
      socket.pause();
      setTimeout(() => socket.resume(), 100);
      socket.on("data", (piece) => {
        bytes += piece.length;
        if (bytes >= body) setTimeout(() => socket.write(response("late")), 4_000);
      });
    });
    const plane = await startDataPlane({ baseline, limits: { bodyIdleMs: 3_000 } });
    const connection = await open(plane.port);
    connection.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body}\r\n\r\n`);
    connection.write("x".repeat(body));
    const seen = await connection.response();
    expect([seen.status, seen.body]).toEqual([200, "late"]);
  });

  test("that announced the end of its connection before a long body is not used again", async () => {
    const baseline = await startUpstream((_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 40000\r\n\r\n");
      const piece = "x".repeat(20_000);
      setTimeout(() => socket.write(piece), 20);
      setTimeout(() => socket.write(piece), 40);
      return null;
    });
    const plane = await startDataPlane({ baseline: baseline.at });
    await get(plane.port);
    await get(plane.port);
    expect(baseline.requests.map((request) => request.connection)).toEqual([0, 1]);
  });

  test("that asks for the body and then hangs is answered 504 where a limit is set", async () => {
    const baseline = await listenRaw((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 100 Continue\r\n\r\n"));
    });
    const plane = await startDataPlane({ baseline, limits: { responseMs: 100 } });
    const connection = await open(plane.port);
    connection.write(
      "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    await connection.until((text) => text.includes("100 Continue\r\n\r\n"));
    connection.write("body");
    expect((await connection.response()).status).toBe(504);
  });

  test("that frames an interim response is passed on without that framing", async () => {
    const baseline = await startUpstream(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n${response("final")}`,
    );
    const plane = await startDataPlane({ baseline: baseline.at });
    const seen = await get(plane.port);
    expect(seen.text).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200/);
    expect(seen.body).toBe("final");
  });

  test("that breaks off within a head is not asked again, though the connection was used before", async () => {
    const baseline = await startUpstream((request, socket) => {
      if (request.head.startsWith("GET /first")) return response("ok");
      socket.end("HTTP/1.1 200 OK\r\nContent-Le");
      return null;
    });
    const plane = await startDataPlane({ baseline: baseline.at });
    await get(plane.port, { path: "/first" });
    const seen = await get(plane.port, { path: "/second" });
    expect(seen.fields["forklane-fault"]).toMatch(/^upstream-closed/);
    expect(baseline.requests.length).toBe(2);
    expect(plane.recorded.map((it) => it.attempt)).toEqual([1, 1]);
  });

  test("that speaks unasked loses its idle connection", async () => {
    const sockets: Socket[] = [];
    const baseline = await startUpstream((_request, socket) => {
      sockets.push(socket);
      return response("ok");
    });
    const plane = await startDataPlane({ baseline: baseline.at });
    await get(plane.port);
    sockets[0]?.write(response("evil"));
    await expect.poll(() => plane.pool.connections).toBe(0);
    expect((await get(plane.port)).body).toBe("ok");
  });
});

describe("after a stop", () => {
  test("no connection is made for somebody who has gone", async () => {
    const baseline = await startUpstream(() => null);
    const plane = await startDataPlane({
      baseline: baseline.at,
      limits: { upstreamConnectionsMax: 1 },
    });
    const first = await open(plane.port);
    first.write(GET);
    await expect.poll(() => baseline.requests.length).toBe(1);
    const second = await open(plane.port);
    second.write(GET);
    await expect.poll(() => plane.pool.waiting).toBe(1);
    await plane.listener.drain();
    plane.pool.close();
    await wait(50);
    expect([baseline.connections, plane.pool.connections, plane.ticker.size]).toEqual([1, 0, 0]);
    expect(plane.recorded.length).toBe(2);
  });
});
