import { describe, expect, test } from "vitest";
import { Connection, get, sendRaw } from "../harness/client.ts";
import { NOBODY, startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

describe("a request passes", () => {
  test("byte for byte, in order and case, but for what belongs to one connection", async () => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({ baseline });
    const fields =
      "hOsT: shop.test\r\nX-B:  2 \r\nx-a:1\r\nX-B: 3\r\nBaggage: a=1 , b=%2C;p=q\r\nbag_gage: sandbox=x\r\nDate: now\r\n";
    await sendRaw(
      proxy.port,
      `GET /a/../b?c|d HTTP/1.1\r\n${fields}Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n`,
    );
    expect(baseline.requests[0]?.head).toBe(`GET /a/../b?c|d HTTP/1.1\r\n${fields}\r\n`);
  });

  test("with a body by length and by chunks, framed anew, with trailers", async () => {
    const baseline = await startUpstream(response("ok"));
    const proxy = await startProxy({ baseline });
    await get(proxy.port, { method: "POST", body: "hello" });
    expect(baseline.requests[0]).toMatchObject({ body: "hello" });
    await sendRaw(
      proxy.port,
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n006\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    const { body } = baseline.requests[1] ?? { body: "" };
    expect(body).not.toContain("ext");
    expect(body.replace(/^[0-9a-f]+\r\n|\r\n/gm, "")).toBe("hello worldX-Sum: 1");
  });

  test("in HTTP/1.0, as ours upwards and with an end that it understands downwards", async () => {
    const baseline = await startUpstream(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    const proxy = await startProxy({ baseline });
    const seen = await sendRaw(proxy.port, "GET / HTTP/1.0\r\n\r\n");
    expect(baseline.requests[0]?.head).toMatch(/^GET \/ HTTP\/1\.1\r\nhost: 127\.0\.0\.1:/);
    expect([seen.status, seen.body, seen.closed]).toEqual([200, "ok", "ended"]);
    expect(seen.fields["transfer-encoding"]).toBeUndefined();
    expect(seen.fields["connection"]).toBe("close");
  });

  test("in absolute-form as origin-form", async () => {
    const baseline = await startUpstream(response("ok"));
    const proxy = await startProxy({ baseline });
    await sendRaw(proxy.port, "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(baseline.requests[0]?.head).toBe("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  });
});

describe("a response passes", () => {
  test("byte for byte, but for what belongs to one connection, and with a date", async () => {
    const baseline = await startUpstream(
      "HTTP/1.1 299 Very Fine\r\nX-B: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nok",
    );
    const proxy = await startProxy({ baseline });
    const seen = await get(proxy.port);
    expect(seen.text.replace(/date: [^\r]*\r\n/, "")).toBe(
      "HTTP/1.1 299 Very Fine\r\nX-B: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
    );
    expect(seen.fields["date"]).toMatch(/ GMT$/);
  });

  test.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", 204],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", 304],
  ])("to %s without a body: %j", async (method, reply, status) => {
    const baseline = await startUpstream(reply);
    const proxy = await startProxy({ baseline });
    const connection = await Connection.open(proxy.port);
    for (let i = 0; i < 2; i++) {
      connection.write(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
      const seen = await connection.response(method === "HEAD");
      expect([seen.status, seen.body, seen.closed]).toEqual([status, "", "open"]);
    }
    expect(baseline.connections).toBe(1);
    connection.close();
  });

  test("in chunks with trailers, and until the end of the connection as chunks", async () => {
    const chunked = await startUpstream(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    const first = await get((await startProxy({ baseline: chunked })).port);
    expect(first.text).toMatch(/0\r\nX-Sum: 1\r\n\r\n$/);
    expect(first.body).toBe("hello");
    const closing = await startUpstream((_request, socket) => {
      socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end");
      return null;
    });
    const second = await get((await startProxy({ baseline: closing })).port);
    expect([second.fields["transfer-encoding"], second.body]).toEqual(["chunked", "until the end"]);
  });

  test("after interim ones: 103 is passed on, 100 is waited for", async () => {
    const baseline = await startUpstream((_request, socket) => {
      socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
      return response("final");
    });
    const proxy = await startProxy({ baseline });
    const seen = await get(proxy.port);
    expect(seen.text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK/,
    );
  });

  test("to Expect: 100-continue comes before the body is sent", async () => {
    const upstream = await startUpstream((request) => response(request.body));
    const { createServer } = await import("node:net");
    const server = createServer((socket) => {
      socket.once("data", (head) => {
        expect(head.toString()).toContain("Expect: 100-continue");
        socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        socket.once("data", (body) => socket.write(response(body.toString())));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const proxy = await startProxy({ baseline: `127.0.0.1:${port}` });
    const connection = await Connection.open(proxy.port);
    connection.write(
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    await connection.until((text) => text.includes("100 Continue\r\n\r\n"));
    connection.write("body");
    const seen = await connection.response();
    expect([seen.status, seen.body]).toEqual([200, "body"]);
    connection.close();
    server.close();
    await upstream.close();
  });
});

describe("a connection", () => {
  test("carries pipelined requests, answered in order", async () => {
    const baseline = await startUpstream((request, socket) => {
      const name = request.head.split(" ")[1] ?? "";
      if (name === "/slow") setTimeout(() => socket.write(response(name)), 30);
      return name === "/slow" ? null : response(name);
    });
    const proxy = await startProxy({ baseline });
    const connection = await Connection.open(proxy.port);
    const paths = ["/slow", "/b", "/slow", "/d"];
    connection.write(
      paths
        .map((path) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc`)
        .join(""),
    );
    for (const path of paths) expect((await connection.response()).body).toBe(path);
    connection.close();
  });

  test.each(["length", "chunks"])(
    "carries small requests behind large ones, which pass by %s and without a copy",
    async (by) => {
      const baseline = await startUpstream((request) => response(request.head.split(" ")[1] ?? ""));
      // Small, so that reads fill it, and ends of bodies fall into the middle of reads.
      const proxy = await startProxy({ baseline, limits: { readBufferBytes: 4_096 } });
      const connection = await Connection.open(proxy.port);
      // No letter of it is a hex digit, which is how chunk heads are taken out again.
      const content = (i: number) =>
        Buffer.alloc(200_000 + i * 777, `${"ghijk"[i]}-lmnopq `).toString();
      const framed = (body: string) =>
        by === "length"
          ? `Content-Length: ${body.length}\r\n\r\n${body}`
          : `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
      const rounds = 5;
      let sent = "";
      for (let i = 0; i < rounds; i++) {
        sent += `PUT /large/${i} HTTP/1.1\r\nHost: a\r\n${framed(content(i))}`;
        sent += `GET /small/${i} HTTP/1.1\r\nHost: a\r\n\r\n`;
      }
      connection.write(sent);
      for (let i = 0; i < rounds; i++) {
        expect((await connection.response()).body).toBe(`/large/${i}`);
        expect((await connection.response()).body).toBe(`/small/${i}`);
      }
      connection.close();
      const large = baseline.requests.filter(({ head }) => head.startsWith("PUT"));
      for (const [i, { body }] of large.entries()) {
        const seen = by === "length" ? body : body.replace(/[0-9a-f\r\n]/g, "");
        expect(seen === content(i), `body ${i}`).toBe(true);
      }
      expect(large).toHaveLength(rounds);
    },
  );

  test("stays open behind an empty line, which is not the beginning of a request", async () => {
    const baseline = await startUpstream(response("ok"));
    const proxy = await startProxy({ baseline, limits: { headTimeoutMs: 50 } });
    const [connection, begun] = [
      await Connection.open(proxy.port),
      await Connection.open(proxy.port),
    ];
    connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n");
    expect((await connection.response()).status).toBe(200);
    // Another one that began at the same time shows that the time is over.
    begun.write("\r\nG");
    expect((await begun.response()).status).toBe(408);
    connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await connection.response()).status).toBe(200);
    connection.close();
  });

  test("is used again upstream, unless the upstream closes it or says so", async () => {
    const baseline = await startUpstream((request) =>
      response("ok", request.head.includes("/last") ? "Connection: close\r\n" : ""),
    );
    const proxy = await startProxy({ baseline });
    for (const path of ["/", "/", "/last", "/"]) await get(proxy.port, { path });
    expect(baseline.requests.map((request) => request.connection)).toEqual([0, 0, 0, 1]);
  });

  test("becomes a tunnel after 101, both ways, each direction closed by itself", async () => {
    const baseline = await startUpstream((_request, socket) => {
      socket.removeAllListeners("data");
      socket.removeAllListeners("end");
      socket.on("data", (bytes) => socket.write(`<${bytes.toString()}>`));
      socket.on("end", () => socket.end("bye"));
      return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi";
    });
    const proxy = await startProxy({ baseline });
    const connection = await Connection.open(proxy.port);
    connection.write(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
    );
    expect((await connection.response()).status).toBe(101);
    expect(baseline.requests[0]?.head).toMatch(/Upgrade: websocket\r\n/);
    expect(baseline.requests[0]?.head).toMatch(/connection: upgrade\r\n/);
    connection.write("one");
    await connection.until((text) => text === "hi<one>");
    connection.socket.end();
    await connection.until((text) => text === "hi<one>bye");
    expect(connection.text).toBe("hi<one>bye");
  });

  test("passes on that an end of a tunnel was reset: it has not said all", async () => {
    const baseline = await startUpstream((_request, socket) => {
      socket.removeAllListeners("data");
      socket.on("data", () => socket.resetAndDestroy());
      return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    });
    const proxy = await startProxy({ baseline });
    const connection = await Connection.open(proxy.port);
    connection.write(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect((await connection.response()).status).toBe(101);
    connection.write("part of a frame");
    await connection.until(() => false);
    expect(connection.closed).toBe("reset");
  });

  test("asks for no tunnel in HTTP/1.0, which has none", async () => {
    const baseline = await startUpstream(response("plain"));
    const proxy = await startProxy({ baseline });
    const seen = await sendRaw(
      proxy.port,
      "GET /ws HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect(seen.body).toBe("plain");
    expect(baseline.requests[0]?.head).not.toMatch(/upgrade/i);
  });

  test("is no tunnel where the upstream answers otherwise, or agrees to what nobody asked", async () => {
    const refusing = await startUpstream(response("no", "", "400 Bad Request"));
    const proxy = await startProxy({ baseline: refusing });
    const connection = await Connection.open(proxy.port);
    connection.write(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    expect((await connection.response()).status).toBe(400);
    expect((await connection.response()).status).toBe(400);
    expect(refusing.requests.map((request) => request.head.split(" ")[1])).toEqual([
      "/ws",
      "/next",
    ]);
    connection.close();
    const eager = await startUpstream(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    const second = await get((await startProxy({ baseline: eager })).port);
    expect([second.status, second.fields["forklane-fault"]]).toEqual([
      502,
      "upstream-malformed; by=shop/cart",
    ]);
  });

  test("gets an early answer, and carries the next request if little of the first was left", async () => {
    const { createServer } = await import("node:net");
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        if (!bytes.includes("HTTP/1.1")) return;
        socket.write(response("early", "", "413 Content Too Large"));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const proxy = await startProxy({ baseline: `127.0.0.1:${port}` });
    const connection = await Connection.open(proxy.port);
    connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234");
    expect((await connection.response()).status).toBe(413);
    connection.write("5678GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await connection.response()).status).toBe(413);
    connection.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n1234");
    expect((await connection.response()).status).toBe(413);
    await connection.until(() => false);
    expect(connection.closed).toBe("ended");
    connection.close();
    server.close();
  });
});

describe("what is no request", () => {
  test.each([
    ["head-malformed", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["host-invalid", 400, "GET / HTTP/1.1\r\n\r\n"],
    [
      "framing-ambiguous",
      400,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "transfer-coding-unsupported",
      501,
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
    ["version-unsupported", 505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"],
    ["method-unsupported", 501, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"],
    ["target-too-long", 414, `GET /${"x".repeat(17_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ["head-too-large", 431, `GET / HTTP/1.1\r\nHost: a\r\n${"X: 1\r\n".repeat(100)}\r\n`],
    ["field-protected", 400, "GET / HTTP/1.1\r\nHost: a\r\nConnection: baggage\r\n\r\n"],
    [
      "field-protected",
      400,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, content-length\r\n\r\n",
    ],
  ])("is answered %s (%i), closed, and never seen by the upstream", async (code, status, bytes) => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({ baseline });
    const connection = await Connection.open(proxy.port);
    connection.write(bytes);
    const seen = await connection.response();
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([status, `${code}; by=shop/cart`]);
    expect(seen.fields["cache-control"]).toBe("no-store");
    expect(seen.fields["connection"]).toBe("close");
    await connection.until(() => false);
    expect(connection.closed).toBe("ended");
    connection.close();
    expect(baseline.requests).toEqual([]);
  });

  test("in the body is answered body-malformed, trailers-too-large, and the upstream is cut off", async () => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({ baseline });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const malformed = await sendRaw(proxy.port, `${head}5\r\nhelloX\r\n`);
    expect([malformed.status, malformed.fields["forklane-fault"]]).toEqual([
      400,
      "body-malformed; by=shop/cart",
    ]);
    const trailers = await sendRaw(proxy.port, `${head}0\r\n${"A: 1\r\n".repeat(33)}\r\n`);
    expect([trailers.status, trailers.fields["forklane-fault"]]).toEqual([
      431,
      "trailers-too-large; by=shop/cart",
    ]);
    expect(baseline.requests).toEqual([]);
  });

  test("in time is answered: head-timeout, body-timeout", async () => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({ baseline, limits: { headTimeoutMs: 100, bodyIdleMs: 100 } });
    const slowHead = await sendRaw(proxy.port, "GET / HTTP/1.1\r\nHo");
    expect([slowHead.status, slowHead.fields["forklane-fault"]]).toEqual([
      408,
      "head-timeout; by=shop/cart",
    ]);
    const slowBody = await sendRaw(
      proxy.port,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
    );
    expect([slowBody.status, slowBody.fields["forklane-fault"]]).toEqual([
      408,
      "body-timeout; by=shop/cart",
    ]);
  });
});

describe("an upstream that", () => {
  const cases: readonly (readonly [string, string, number, string])[] = [
    ["answers garbage", "garbage\r\n\r\n", 502, "upstream-malformed"],
    [
      "answers with two lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
      502,
      "upstream-malformed",
    ],
    [
      "answers too many fields",
      `HTTP/1.1 200 OK\r\n${"X: 1\r\n".repeat(101)}\r\n`,
      502,
      "upstream-head-too-large",
    ],
    [
      "answers too many interim responses",
      "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17),
      502,
      "upstream-head-too-large",
    ],
  ];
  test.each(cases)(
    "%s is refused and its connection not used again",
    async (_what, reply, status, code) => {
      const baseline = await startUpstream(reply);
      const proxy = await startProxy({ baseline });
      for (let i = 0; i < 2; i++) {
        const seen = await get(proxy.port);
        expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
          status,
          `${code}; by=shop/cart`,
        ]);
      }
      expect(baseline.connections).toBe(2);
    },
  );

  test("closes before the head is answered 502, after it the response is cut off", async () => {
    const silent = await startUpstream((_request, socket) => {
      socket.destroy();
      return null;
    });
    const first = await get((await startProxy({ baseline: silent })).port);
    expect([first.status, first.fields["forklane-fault"]]).toEqual([
      502,
      "upstream-closed; by=shop/cart",
    ]);
    const short = await startUpstream((_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      setTimeout(() => socket.destroy(), 20);
      return null;
    });
    const second = await get((await startProxy({ baseline: short })).port);
    expect(second.status).toBe(200);
    expect(second.text).not.toContain("0\r\n\r\n");
    expect(second.closed).not.toBe("open");
  });

  test("sends bytes behind its response loses the connection, not the response", async () => {
    const baseline = await startUpstream(
      `${response("ok")}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`,
    );
    const proxy = await startProxy({ baseline });
    expect((await get(proxy.port)).body).toBe("ok");
    expect((await get(proxy.port)).body).toBe("ok");
    expect(baseline.connections).toBe(2);
  });

  test("closed a connection that was to be used again gets the request once more, if it may be repeated", async () => {
    const baseline = await startUpstream((request, socket) => {
      if (request.head.includes("/second") && request.connection === 0) {
        socket.destroy();
        return null;
      }
      return response(`connection ${request.connection}`);
    });
    const proxy = await startProxy({ baseline });
    await get(proxy.port, { path: "/first" });
    const repeated = await get(proxy.port, { path: "/second", method: "PUT", body: "kept" });
    expect([repeated.status, repeated.body]).toEqual([200, "connection 1"]);
    expect(baseline.requests.map((request) => request.body)).toEqual(["", "kept", "kept"]);
    const other = await startUpstream((request, socket) => {
      if (request.head.includes("/second")) socket.destroy();
      return response("ok");
    });
    const second = await startProxy({ baseline: other });
    await get(second.port, { path: "/first" });
    const once = await get(second.port, { path: "/second", method: "POST", body: "x" });
    expect([once.status, once.fields["forklane-fault"]]).toEqual([
      502,
      "upstream-closed; by=shop/cart",
    ]);
    expect(other.requests.length).toBe(2);
  });

  test("is not there is answered 503 connect-refused", async () => {
    const seen = await get((await startProxy({ baseline: NOBODY })).port);
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
      503,
      "connect-refused; by=shop/cart",
    ]);
  });

  test("hangs is answered 504 where a limit is set, and cut off within a body", async () => {
    const hanging = await startUpstream(() => null);
    const proxy = await startProxy({ baseline: hanging, limits: { responseMs: 100 } });
    const first = await get(proxy.port);
    expect([first.status, first.fields["forklane-fault"]]).toEqual([
      504,
      "upstream-timeout; by=shop/cart",
    ]);
    const stuck = await startUpstream("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    const second = await get(
      (await startProxy({ baseline: stuck, limits: { bodyIdleMs: 100 } })).port,
    );
    expect([second.status, second.body, second.closed === "open"]).toEqual([200, "he", false]);
  });

  test("is at the limit of connections and waiting requests is answered 503 pool-full", async () => {
    const hanging = await startUpstream(() => null);
    const proxy = await startProxy({
      baseline: hanging,
      limits: { upstreamConnectionsMax: 1, upstreamWaitingMax: 1 },
    });
    const first = await Connection.open(proxy.port);
    const second = await Connection.open(proxy.port);
    first.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => hanging.requests.length).toBe(1);
    second.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const third = await get(proxy.port);
    expect([third.status, third.fields["forklane-fault"]]).toEqual([
      503,
      "pool-full; by=shop/cart",
    ]);
    first.close();
    second.close();
  });
});

describe("the listener", () => {
  test("refuses connections past its limit at once, and those in progress finish", async () => {
    const baseline = await startUpstream(response("ok"));
    const proxy = await startProxy({ baseline, limits: { downstreamConnectionsMax: 1 } });
    const first = await Connection.open(proxy.port);
    first.write("GET / HTTP/1.1\r\nHo");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await Connection.open(proxy.port);
    const refused = await second.response();
    expect([refused.status, refused.fields["forklane-fault"]]).toEqual([
      503,
      "connection-limit; by=shop/cart",
    ]);
    first.write("st: a\r\n\r\n");
    expect((await first.response()).status).toBe(200);
    first.close();
    second.close();
  });

  test("tells callers to close while it drains, and lets the exchange in progress finish", async () => {
    let answer: (() => void) | null = null;
    const baseline = await startUpstream((_request, socket) => {
      answer = () => socket.write(response("late"));
      return null;
    });
    const proxy = await startProxy({ baseline, limits: { drainAcceptMs: 50, drainMs: 5_000 } });
    const connection = await Connection.open(proxy.port);
    connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => answer !== null).toBe(true);
    const drained = proxy.drain();
    (answer as (() => void) | null)?.();
    const seen = await connection.response();
    expect([seen.body, seen.fields["connection"]]).toEqual(["late", "close"]);
    await drained;
    connection.close();
  });
});
