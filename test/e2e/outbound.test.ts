import type { Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { TableDocument } from "../../core/watch-events.ts";
import type { Limits } from "../../proxy/limits.ts";
import { Connection, get, sendRaw } from "../harness/client.ts";
import { listenRaw, startDataPlane } from "../harness/data-plane.ts";
import { NOBODY, portOf, startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** The callee, its fork, and somebody whom the table does not know. */
async function startCallees() {
  const [pricing, fork, stranger] = await Promise.all([
    startUpstream(response("pricing")),
    startUpstream(response("fork")),
    startUpstream(response("stranger", "forklane-decision: its own\r\n")),
  ]);
  return { pricing, fork, stranger };
}

function tableOf(pricing: string | null, fork: string, more: object = {}): TableDocument {
  const route = { sandbox: "jane", endpoints: [fork], onUnavailable: "fail" as const };
  return {
    revision: 1,
    workloads: {
      "shop/cart": { routes: {} },
      "shop/pricing": {
        hosts: ["pricing", "pricing.shop.svc", "prices:81"],
        ...(pricing !== null && { baseline: pricing }),
        routes: { "jane-42": route },
        ...more,
      },
    },
    known: ["mark-7"],
  };
}

const OUTBOUND = { mode: "outbound", instance: "cart-1" };

/** A proxy of calls, not intercepted. */
async function startCaller(table: TableDocument, flags: Record<string, string> = {}) {
  return await startProxy({ baseline: NOBODY, table, flags: { ...OUTBOUND, ...flags } });
}

function ask(port: number, host: string, fields: readonly string[] = []) {
  const lines = ["GET / HTTP/1.1", `host: ${host}`, ...fields];
  return sendRaw(port, `${lines.join("\r\n")}\r\n\r\n`);
}

const TAG = "baggage: sandbox=jane-42";

describe("a call names its workload by Host", () => {
  test.each([
    ["pricing", "pricing"],
    ["pricing:8080", "pricing"],
    ["Pricing.Shop.svc", "pricing"],
    ["pricing.shop.svc.:80", "pricing"],
    ["prices:81", "pricing"],
  ])("%s", async (host) => {
    const { pricing, fork } = await startCallees();
    const caller = await startCaller(tableOf(pricing.at, fork.at));
    expect((await ask(caller.port, host)).body).toBe("pricing");
    expect((await ask(caller.port, host, [TAG])).body).toBe("fork");
    expect((await ask(caller.port, host, ["baggage: sandbox=mark-7"])).body).toBe("pricing");
  });

  test.each(["prices", "prices:82", "pricing.shop", "xpricing", "[::1]:80"])(
    "%s names none, and is refused: nothing says where it is",
    async (host) => {
      const { pricing, fork } = await startCallees();
      const caller = await startCaller(tableOf(pricing.at, fork.at));
      const seen = await ask(caller.port, host, [TAG]);
      expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
        421,
        "destination-unknown; by=shop/cart",
      ]);
      expect(pricing.requests.length + fork.requests.length).toBe(0);
    },
  );

  test("each request of a connection anew", async () => {
    const { pricing, fork } = await startCallees();
    const caller = await startCaller(tableOf(pricing.at, fork.at));
    const connection = await Connection.open(caller.port);
    onTestFinished(() => connection.close());
    for (const [host, status] of [
      ["pricing", 200],
      ["other", 421],
      ["pricing", 200],
    ] as const) {
      connection.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
      expect((await connection.response()).status).toBe(status);
    }
  });

  test("that two workloads claim is nobody's", async () => {
    const { pricing, fork } = await startCallees();
    const table = tableOf(pricing.at, fork.at);
    const other = { hosts: ["pricing"], baseline: fork.at, routes: {} };
    const caller = await startCaller({
      ...table,
      workloads: { ...table.workloads, "shop/other": other },
    });
    expect((await ask(caller.port, "pricing")).status).toBe(421);
    expect((await ask(caller.port, "pricing.shop.svc")).status).toBe(200);
  });

  test("of a workload whose baseline the table does not give reaches its forks only", async () => {
    const { fork } = await startCallees();
    const caller = await startCaller(tableOf(null, fork.at));
    expect((await ask(caller.port, "pricing", [TAG])).body).toBe("fork");
    const seen = await ask(caller.port, "pricing");
    expect(seen.fields["forklane-fault"]).toContain("destination-unknown");
  });
});

describe("the caller's proxy decides", () => {
  test("as the callee's would: strict tags, and forks that are down", async () => {
    const { pricing } = await startCallees();
    const caller = await startCaller(tableOf(pricing.at, NOBODY));
    const strict = await ask(caller.port, "pricing", ["baggage: sandbox=nobodys!"]);
    expect([strict.status, strict.fields["forklane-fault"]]).toEqual([
      424,
      "unknown-key; by=shop/cart",
    ]);
    const down = await ask(caller.port, "pricing", [TAG]);
    expect(down.fields["forklane-fault"]).toContain("fork-down");
    expect(pricing.requests).toHaveLength(0);
  });

  test("and says so of the callee, unless the callee's proxy says otherwise", async () => {
    const { pricing, fork } = await startCallees();
    const caller = await startCaller(tableOf(pricing.at, fork.at));
    const seen = await ask(caller.port, "pricing", [TAG]);
    expect(seen.fields["forklane-decision"]).toBe(
      "shop/pricing; fork; key=jane-42; reason=fork; rev=1",
    );
    expect(seen.fields["forklane-trace"]).toMatch(/^[0-9a-f]{16}$/);
    const other = await startUpstream(response("x", "forklane-decision: shop/else; fork\r\n"));
    const liar = await startCaller(tableOf(other.at, fork.at));
    const known = await ask(liar.port, "pricing", ["baggage: sandbox=mark-7"]);
    expect(known.fields["forklane-decision"]).toContain("shop/pricing; baseline; key=mark-7");
  });

  test("and the callee's proxy decides last, on the same hop", async () => {
    const { pricing, fork } = await startCallees();
    const callee = await startProxy({
      baseline: pricing,
      workload: "shop/pricing",
      forks: { "jane-42": { at: fork } },
      flags: { instance: "pricing-1" },
    });
    const old = tableOf(callee.at, fork.at);
    const caller = await startCaller({
      ...old,
      workloads: { "shop/pricing": { hosts: ["pricing"], baseline: callee.at, routes: {} } },
      known: ["jane-42"],
    });
    const seen = await ask(caller.port, "pricing", [TAG]);
    expect(seen.body).toBe("fork");
    expect(seen.fields["forklane-decision"]).toContain("shop/pricing; fork; key=jane-42");
    const head = fork.requests[0]?.head ?? "";
    expect(head).toContain("forklane-via: shop/pricing;cart-1;from=-, shop/pricing;pricing-1");
    expect(head).toContain(`forklane-hop=${seen.fields["forklane-trace"]}.`);
  });
});

/** A proxy to which the kernel would redirect calls that were dialled to `dialled`. */
async function startIntercepted(
  dialled: { readonly at: string },
  table: TableDocument,
  flags: Record<string, string> = {},
  limits: Partial<Limits> = {},
) {
  const intendedAddress = { address: "127.0.0.1", port: portOf(dialled.at) };
  return await startDataPlane({
    baseline: NOBODY,
    table,
    limits,
    flags: { ...OUTBOUND, ...flags },
    interception: { intercepted: () => ({ intendedAddress, baseline: dialled.at }) },
  });
}

describe("a call that was intercepted", () => {
  test("is for whom the table knows by the address, whatever Host says", async () => {
    const { pricing, fork, stranger } = await startCallees();
    const byAddress = tableOf(null, fork.at, { hosts: [], addresses: [pricing.at] });
    const workloads = {
      ...byAddress.workloads,
      "shop/other": { hosts: ["other"], baseline: stranger.at, routes: {} },
    };
    const plane = await startIntercepted(pricing, { ...byAddress, workloads });
    expect((await ask(plane.port, "other")).body).toBe("pricing");
    expect((await ask(plane.port, "other", [TAG])).body).toBe("fork");
    expect(stranger.requests).toHaveLength(0);
  });

  test("may name a workload by Host, and never another address than it dialled", async () => {
    const { pricing, fork, stranger } = await startCallees();
    const plane = await startIntercepted(stranger, tableOf(pricing.at, fork.at));
    expect((await ask(plane.port, "pricing", [TAG])).body).toBe("fork");
    expect((await ask(plane.port, "pricing")).body).toBe("stranger");
    expect((await ask(plane.port, pricing.at)).body).toBe("stranger");
    expect(pricing.requests).toHaveLength(0);
  });

  test("to nobody that is known passes as it is, tags and all", async () => {
    const { pricing, fork, stranger } = await startCallees();
    const plane = await startIntercepted(stranger, tableOf(pricing.at, fork.at));
    const seen = await ask(plane.port, "elsewhere", [`${TAG}!`, "X: 1"]);
    expect([seen.body, seen.fields["forklane-decision"]]).toEqual(["stranger", "its own"]);
    expect(stranger.requests[0]?.head).toBe(
      `GET / HTTP/1.1\r\nhost: elsewhere\r\n${TAG}!\r\nX: 1\r\n\r\n`,
    );
  });

  test("to an address outside the cluster is nobody's, and keeps no tag where told", async () => {
    const { pricing, fork, stranger } = await startCallees();
    const fields = ["baggage: a = 1 ,sandbox=jane-42, b=2;p", "forklane-key: jane-42", "X: 1"];
    const outside = { "cluster-networks": "10.0.0.0/8", sandbox: "jane" };
    const plane = await startIntercepted(stranger, tableOf(pricing.at, fork.at), outside);
    expect((await ask(plane.port, "pricing", fields)).body).toBe("stranger");
    expect((await ask(plane.port, "pricing")).body).toBe("stranger");
    const stripping = { ...outside, "strip-outside": "true" };
    const strips = await startIntercepted(stranger, tableOf(pricing.at, fork.at), stripping);
    expect((await ask(strips.port, "pricing", fields)).body).toBe("stranger");
    const start = "GET / HTTP/1.1\r\nhost: pricing\r\n";
    expect(stranger.requests.map(({ head }) => head)).toEqual([
      `${start}${fields.join("\r\n")}\r\n\r\n`,
      `${start}\r\n`,
      `${start}baggage: a = 1 , b=2;p\r\nX: 1\r\n\r\n`,
    ]);
  });
});

describe("next to a fork", () => {
  test("calls that carry nothing get the sandbox's key, those that carry a key keep it", async () => {
    const { pricing, fork } = await startCallees();
    const caller = await startCaller(tableOf(pricing.at, fork.at), { sandbox: "jane" });
    expect((await ask(caller.port, "pricing")).body).toBe("fork");
    expect(fork.requests[0]?.head).toContain("sandbox=jane-42");
    expect((await ask(caller.port, "pricing", ["baggage: sandbox=mark-7"])).body).toBe("pricing");
    expect((await ask(caller.port, "elsewhere")).status).toBe(421);
  });

  test("nothing is put on calls where several keys lead to the sandbox", async () => {
    const { pricing, fork } = await startCallees();
    const table = tableOf(pricing.at, fork.at);
    const group = { sandbox: "jane", endpoints: [fork.at] };
    const caller = await startCaller(
      { ...table, workloads: { ...table.workloads, "shop/cart": { routes: { group: group } } } },
      { sandbox: "jane" },
    );
    expect((await ask(caller.port, "pricing")).body).toBe("pricing");
    expect(pricing.requests[0]?.head).not.toContain("baggage");
  });
});

describe("a call of a trace that came in with a key", () => {
  const traced = (trace: number) =>
    `traceparent: 00-${trace.toString(16).padStart(32, "0")}-00000000000000aa-01`;

  async function startBoth(flags: Record<string, string> = {}) {
    const { pricing, fork } = await startCallees();
    const baseline = await startUpstream(response("cart"));
    const proxy = await startProxy({
      baseline,
      table: tableOf(pricing.at, fork.at),
      flags: { "outbound-listen": "127.0.0.1:0", ...flags },
    });
    return { proxy, baseline, pricing, fork };
  }

  test("gets it again, strict as it was, and its place in the tree", async () => {
    const { proxy, baseline, fork } = await startBoth();
    const came = await get(proxy.port, { tag: "jane-42!", fields: [traced(1)] });
    const mark = /forklane-hop=([0-9a-f]{16})\.([0-9a-f]{16})/;
    const [, root, hop] = mark.exec(baseline.requests[0]?.head ?? "") ?? [];
    expect(root).toBe(came.fields["forklane-trace"]);
    expect((await ask(proxy.outboundPort, "pricing", [traced(1)])).body).toBe("fork");
    const head = fork.requests[0]?.head ?? "";
    expect(head).toContain("sandbox=jane-42!");
    expect(mark.exec(head)?.[1]).toBe(root);
    expect(head).toContain(`;from=${hop}`);
  });

  test("gets it again as often as the service calls, each time in the same place", async () => {
    const { proxy, baseline, fork } = await startBoth();
    await get(proxy.port, { tag: "jane-42", fields: [traced(8)] });
    const mark = /forklane-hop=([0-9a-f]{16})\.([0-9a-f]{16})/;
    const [, root, hop] = mark.exec(baseline.requests[0]?.head ?? "") ?? [];
    for (const fields of [[traced(8)], [TAG, traced(8)], [traced(8)]]) {
      await ask(proxy.outboundPort, "pricing", fields);
    }
    const heads = fork.requests.map(({ head }) => head);
    const from = heads.map((head) => [mark.exec(head)?.[1], /;from=([^,\r]*)/.exec(head)?.[1]]);
    expect([from[0], from[2]]).toEqual([
      [root, hop],
      [root, hop],
    ]);
  });

  test("does not where the trace came with two keys, or never, or the call has its own", async () => {
    const { proxy, pricing } = await startBoth();
    for (const tag of ["jane-42", "mark-7", "jane-42"]) {
      await get(proxy.port, { tag, fields: [traced(2)] });
    }
    await get(proxy.port, { tag: "jane-42", fields: [traced(3)] });
    // Two tags in one request: it went where the last one says, and so does nobody know of its calls.
    await get(proxy.port, { tag: "jane-42", fields: [traced(9)] });
    await get(proxy.port, { tag: "mark-7", fields: [TAG, traced(9)] });
    await get(proxy.port, { fields: [traced(10)] });
    await get(proxy.port, { tag: "jane-42", fields: [traced(10)] });
    for (const trace of [9, 10]) {
      expect((await ask(proxy.outboundPort, "pricing", [traced(trace)])).body).toBe("pricing");
    }
    expect((await ask(proxy.outboundPort, "pricing", [traced(2)])).body).toBe("pricing");
    expect((await ask(proxy.outboundPort, "pricing", [traced(4)])).body).toBe("pricing");
    const own = ["baggage: sandbox=mark-7", traced(3)];
    expect((await ask(proxy.outboundPort, "pricing", own)).body).toBe("pricing");
    expect(pricing.requests.at(-1)?.head).not.toContain("jane-42");
  });

  test("does not where the tag that came in was not believed", async () => {
    const { proxy } = await startBoth({ "trust-tags-from": "10.0.0.0/8" });
    await get(proxy.port, { tag: "jane-42", fields: [traced(5)] });
    expect((await ask(proxy.outboundPort, "pricing", [traced(5)])).body).toBe("pricing");
    expect((await ask(proxy.outboundPort, "pricing", [TAG])).body).toBe("fork");
  });

  test("next to a fork is the trace's first, then the sandbox's", async () => {
    const { pricing, fork } = await startCallees();
    const table = tableOf(pricing.at, fork.at);
    const workloads = {
      ...table.workloads,
      "shop/cart": { routes: { "jane-42": { sandbox: "jane", endpoints: [NOBODY] } } },
    };
    const proxy = await startProxy({
      baseline: await startUpstream(response("cart")),
      table: { ...table, workloads },
      flags: { "outbound-listen": "127.0.0.1:0", sandbox: "jane" },
    });
    await get(proxy.port, { tag: "jane-42~mark-7", fields: [traced(6)] });
    await ask(proxy.outboundPort, "pricing", [traced(6)]);
    await ask(proxy.outboundPort, "pricing", [traced(7)]);
    expect(fork.requests.map(({ head }) => /sandbox=([^,\r]*)/.exec(head)?.[1])).toEqual([
      "jane-42~mark-7",
      "jane-42",
    ]);
  });
});

describe("a redirected call that is no HTTP/1", () => {
  const TABLE = tableOf(NOBODY, NOBODY);

  /** Answers every byte, and its end by an end. */
  async function startEcho(): Promise<{ at: string }> {
    const at = await listenRaw((socket) => {
      socket.on("data", (bytes) => void socket.write(bytes));
      socket.on("end", () => socket.end("bye"));
    });
    return { at };
  }

  async function open(port: number): Promise<Connection> {
    const connection = await Connection.open(port);
    onTestFinished(() => connection.close());
    return connection;
  }

  test.each([
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["memcached", "get sandbox=jane-42\r\n"],
  ])("passes untouched: %s", async (_what, text) => {
    const plane = await startIntercepted(await startEcho(), TABLE);
    const connection = await open(plane.port);
    connection.socket.write(Buffer.from(text, "latin1"));
    await connection.until((seen) => seen.length >= text.length);
    expect(connection.text).toBe(text);
    expect(plane.listener.passedCalls).toEqual({ outside: 0, silent: 0, unreadable: 1 });
    expect(plane.recorded).toEqual([]);
  });

  test("closes each direction by itself", async () => {
    const plane = await startIntercepted(await startEcho(), TABLE);
    const connection = await open(plane.port);
    connection.socket.end("{all}");
    await connection.until(() => false);
    expect([connection.text, connection.closed]).toEqual(["{all}bye", "ended"]);
    await expect.poll(() => plane.listener.connections).toBe(0);
  });

  test("passes also where it ends before it was a line", async () => {
    const plane = await startIntercepted(await startEcho(), TABLE, {}, { detectMs: 60_000 });
    for (const text of ["", "hello"]) {
      const connection = await open(plane.port);
      connection.socket.end(text);
      await connection.until(() => false);
      expect([connection.text, connection.closed]).toEqual([`${text}bye`, "ended"]);
    }
  });

  test("is heard first where its other side speaks first", async () => {
    const at = await listenRaw((socket) => {
      socket.write("220 ready\r\n");
      socket.on("data", (bytes) => void socket.write(`250 ${bytes}`));
    });
    const plane = await startIntercepted({ at }, TABLE, {}, { detectMs: 50 });
    const connection = await open(plane.port);
    await connection.until((seen) => seen.endsWith("ready\r\n"));
    connection.write("GET / HTTP/1.1\r\n");
    await connection.until((seen) => seen.endsWith("HTTP/1.1\r\n"));
    expect(connection.text).toBe("220 ready\r\n250 GET / HTTP/1.1\r\n");
    expect(plane.listener.passedCalls.silent).toBe(1);
  });

  test("passes where it asks a forward proxy for a tunnel", async () => {
    const at = await listenRaw((socket) => {
      socket.on("data", (bytes) => void socket.write(`HTTP/1.1 200 OK\r\n\r\n${bytes}`));
    });
    const flags = { "cluster-networks": "10.0.0.0/8", "strip-outside": "true" };
    for (const each of [{}, flags]) {
      const plane = await startIntercepted({ at }, TABLE, each);
      const connection = await open(plane.port);
      const asked = "CONNECT api.test:443 HTTP/1.1\r\nhost: api.test:443\r\n\r\n";
      connection.write(asked);
      await connection.until((seen) => seen.endsWith("443\r\n\r\n"));
      expect(connection.text).toBe(`HTTP/1.1 200 OK\r\n\r\n${asked}`);
      expect(plane.listener.passedCalls.unreadable).toBe(1);
    }
  });

  test("is reset where nobody listens", async () => {
    const plane = await startIntercepted({ at: NOBODY }, TABLE);
    const connection = await open(plane.port);
    connection.write("{");
    await connection.until(() => false);
    expect(connection.closed).toBe("reset");
    await expect.poll(() => plane.listener.connections).toBe(0);
  });

  test("stops who sends faster than its reader reads", async () => {
    const at = await listenRaw((socket) => void socket.pause());
    const plane = await startIntercepted({ at }, TABLE, {}, { bufferedBytesMax: 1_024 });
    const { socket } = await open(plane.port);
    socket.write(Buffer.alloc(64 * 1024 * 1024, "{"));
    await expect.poll(() => plane.listener.passedCalls.unreadable).toBe(1);
    const before = process.memoryUsage().external;
    await expect.poll(() => socket.writableLength).toBeGreaterThan(0);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(socket.writableLength).toBeGreaterThan(16 * 1024 * 1024);
    expect(process.memoryUsage().external - before).toBeLessThan(16 * 1024 * 1024);
  });

  test("outside the cluster is not even looked at, HTTP or not", async () => {
    const { stranger } = await startCallees();
    const flags = { "cluster-networks": "10.0.0.0/8" };
    const plane = await startIntercepted(stranger, TABLE, flags);
    const odd = "GET / HTTP/1.1\r\nHost : x\r\n\r\n";
    expect((await sendRaw(plane.port, odd)).body).toBe("stranger");
    expect(stranger.requests[0]?.head).toBe(odd);
    expect(plane.listener.passedCalls).toEqual({ outside: 1, silent: 0, unreadable: 0 });
  });

  test("is cut off at the end of a drain, and so is one that says nothing", async () => {
    const plane = await startIntercepted(await startEcho(), TABLE);
    const speaks = await open(plane.port);
    speaks.write("{");
    await speaks.until((seen) => seen === "{");
    const silent = await open(plane.port);
    await expect.poll(() => plane.listener.connections).toBe(2);
    expect(await plane.listener.drain()).toBe(1);
    await Promise.all([speaks.until(() => false), silent.until(() => false)]);
    expect([speaks.closed, silent.closed]).toEqual(["reset", "reset"]);
  });
});

test("HTTP/1 that comes byte by byte is read as such, and refused where it is malformed", async () => {
  const { pricing, fork, stranger } = await startCallees();
  const plane = await startIntercepted(stranger, tableOf(pricing.at, fork.at));
  const connection = await Connection.open(plane.port);
  onTestFinished(() => connection.close());
  for (const byte of `GET / HTTP/1.1\r\nhost: pricing\r\n${TAG}\r\n\r\n`) {
    connection.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await connection.response()).body).toBe("fork");
  connection.write("GET / HTTP/1.1\r\nhost: pricing\r\n\r\n");
  expect((await connection.response()).body).toBe("stranger");
  expect((await sendRaw(plane.port, "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n")).status).toBe(400);
  expect(plane.listener.passedCalls).toEqual({ outside: 0, silent: 0, unreadable: 0 });
});

test("what has begun like HTTP/1 is never passed, however long it takes", async () => {
  const { stranger } = await startCallees();
  const limits = { detectMs: 50, headTimeoutMs: 100 };
  const plane = await startIntercepted(stranger, tableOf(NOBODY, NOBODY), {}, limits);
  const seen = await sendRaw(plane.port, "GET / HT");
  expect([seen.status, seen.fields["forklane-fault"]]).toEqual([408, "head-timeout; by=shop/cart"]);
  expect(stranger.connections).toBe(0);
});

describe("who connects long before it speaks", () => {
  /** Connects, and waits until the proxy has connected to where it was dialled. */
  async function openLate(plane: { readonly port: number }, dialled: { connections: number }) {
    const before = dialled.connections;
    const connection = await Connection.open(plane.port);
    onTestFinished(() => connection.close());
    await expect.poll(() => dialled.connections).toBe(before + 1);
    return connection;
  }

  test("has its request read all the same, and its tag taken off where it leaves the cluster", async () => {
    const { pricing, fork, stranger } = await startCallees();
    const limits = { detectMs: 50 };
    const table = tableOf(pricing.at, fork.at);
    const outside = { "cluster-networks": "10.0.0.0/8", "strip-outside": "true" };
    const strips = await startIntercepted(stranger, table, outside, limits);
    const leaving = await openLate(strips, stranger);
    leaving.write(`GET / HTTP/1.1\r\nhost: a\r\n${TAG}\r\nforklane-key: jane-42\r\n\r\n`);
    expect((await leaving.response()).body).toBe("stranger");
    expect(stranger.requests[0]?.head).toBe("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    const plane = await startIntercepted(stranger, table, {}, limits);
    const named = await openLate(plane, stranger);
    for (const piece of ["GET", " / HTTP/1.1\r\n", `host: pricing\r\n${TAG}\r\n\r\n`]) {
      named.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await named.response()).body).toBe("fork");
    for (const { listener } of [strips, plane]) {
      expect(listener.passedCalls).toEqual({ outside: 0, silent: 0, unreadable: 0 });
    }
  });

  test("is refused where what it says at last is malformed, or never ends", async () => {
    const { stranger } = await startCallees();
    const limits = { detectMs: 50, headTimeoutMs: 100 };
    const plane = await startIntercepted(stranger, tableOf(NOBODY, NOBODY), {}, limits);
    for (const [text, status] of [
      ["GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", 400],
      ["GET / HT", 408],
    ] as const) {
      const connection = await openLate(plane, stranger);
      connection.write(text);
      expect((await connection.response()).status).toBe(status);
    }
    expect(stranger.requests).toHaveLength(0);
  });

  test("passes where it is no HTTP/1 then, or ends without a word", async () => {
    let connections = 0;
    const at = await listenRaw((socket) => {
      connections++;
      socket.on("data", (bytes) => void socket.write(bytes));
      socket.on("end", () => socket.end("bye"));
    });
    const dialled = {
      get connections() {
        return connections;
      },
    };
    const plane = await startIntercepted({ at }, tableOf(NOBODY, NOBODY), {}, { detectMs: 50 });
    for (const [text, passed] of [
      ["{all of it, and more}", { outside: 0, silent: 0, unreadable: 1 }],
      ["", { outside: 0, silent: 1, unreadable: 1 }],
    ] as const) {
      const connection = await openLate(plane, dialled);
      if (text !== "") {
        connection.write(text);
        await connection.until((seen) => seen === text);
        // What comes after the first answer, too.
        connection.write(text);
        await connection.until((seen) => seen === text + text);
      }
      connection.socket.end();
      await connection.until(() => false);
      expect([connection.text, connection.closed]).toEqual([`${text}${text}bye`, "ended"]);
      expect(plane.listener.passedCalls).toEqual(passed);
    }
    await expect.poll(() => plane.listener.connections).toBe(0);
  });

  test("sees the end of the other side, and is closed by a drain while both are silent", async () => {
    const sockets: Socket[] = [];
    const at = await listenRaw((socket) => {
      sockets.push(socket);
      if (sockets.length === 1) socket.end();
    });
    const plane = await startIntercepted({ at }, tableOf(NOBODY, NOBODY), {}, { detectMs: 50 });
    const told = await Connection.open(plane.port);
    await told.until(() => false);
    expect(told.closed).toBe("ended");
    told.close();
    await expect.poll(() => plane.listener.connections).toBe(0);
    const silent = await Connection.open(plane.port);
    await expect.poll(() => sockets.length).toBe(2);
    expect(await plane.listener.drain()).toBe(0);
    await silent.until(() => false);
    expect([silent.closed, plane.listener.closedUntold]).toEqual(["reset", 1]);
  });
});

test("a request line without its end is no more passed than one with it", async () => {
  const { stranger } = await startCallees();
  const plane = await startIntercepted(stranger, tableOf(NOBODY, NOBODY));
  const connection = await Connection.open(plane.port);
  onTestFinished(() => connection.close());
  connection.socket.end("GET / HTTP/1.1");
  await connection.until(() => false);
  expect(stranger.connections).toBe(0);
  expect(plane.listener.passedCalls).toEqual({ outside: 0, silent: 0, unreadable: 0 });
});

test("calls of what is still in progress are let in until it is over", async () => {
  const { pricing, fork } = await startCallees();
  const held: Socket[] = [];
  const baseline = await startUpstream((_request, socket) => {
    held.push(socket);
    return null;
  });
  const proxy = await startProxy({
    baseline,
    table: tableOf(pricing.at, fork.at),
    flags: { "outbound-listen": "127.0.0.1:0" },
    limits: { drainMs: 60_000 },
  });
  const asked = get(proxy.port);
  await expect.poll(() => held.length).toBe(1);
  const drained = proxy.drain();
  const isRefused = async () => {
    const connection = await Connection.open(proxy.port).catch(() => null);
    connection?.close();
    return connection === null;
  };
  await expect.poll(isRefused).toBe(true);
  const call = await ask(proxy.outboundPort, "pricing");
  expect([call.body, call.fields["connection"]]).toEqual(["pricing", "close"]);
  held[0]?.write(response("cart"));
  expect((await asked).body).toBe("cart");
  await drained;
  expect(await Connection.open(proxy.outboundPort).catch(() => null)).toBeNull();
});

test("settings of what comes in change no call", async () => {
  const { pricing, fork } = await startCallees();
  const proxy = await startProxy({
    baseline: await startUpstream(response("cart")),
    table: tableOf(pricing.at, fork.at),
    flags: {
      "outbound-listen": "127.0.0.1:0",
      "forwarded-for": "append",
      "underscore-fields": "reject",
    },
  });
  expect((await ask(proxy.outboundPort, "pricing", ["a_b: 1"])).status).toBe(200);
  expect(pricing.requests[0]?.head).toBe("GET / HTTP/1.1\r\nhost: pricing\r\na_b: 1\r\n\r\n");
});

test("explain says where a call would go, and config where calls are taken", async () => {
  const { pricing, fork } = await startCallees();
  const flags = { admin: "127.0.0.1:0", sandbox: "jane" };
  const { admin } = await startCaller(tableOf(pricing.at, fork.at), flags);
  const url = `http://127.0.0.1:${admin?.port}`;
  const explain = async (question: object): Promise<{ readonly [name: string]: unknown }> => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/explain`, {
      method: "POST",
      headers,
      body: JSON.stringify(question),
    });
    return (await answer.json()) as { [name: string]: unknown };
  };
  const mark = { headers: { baggage: "sandbox=mark-7" }, callee: "pricing:80" };
  expect(await explain(mark)).toMatchObject({ workload: "shop/pricing", reason: "not-forked" });
  expect(await explain({ headers: {}, callee: "pricing" })).toMatchObject({
    decision: "fork",
    tag: "jane-42",
  });
  expect((await explain({ headers: {}, callee: "elsewhere" }))["detail"]).toContain("no workload");
  expect((await explain({ headers: {} }))["detail"]).toContain("callee");
  const config = await (await fetch(`${url}/config`)).json();
  expect(config).toMatchObject({
    outbound: { stripsOutside: false, clusterNetworks: expect.arrayContaining(["10.0.0.0/8"]) },
  });
});
