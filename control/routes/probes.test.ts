import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { call, postHops, recordOf, startControl, statusOf } from "../control.fake.ts";
import type { Control } from "../server.ts";

const ROOT = recordOf({}).root;

/** Something that listens where a proxy would: answers a root, and reports hops as it is told. */
async function startEntry(
  control: Control,
  options: {
    mode?: "inbound" | "edge";
    root?: string | null;
    records?: Parameters<typeof recordOf>[0][];
    answer?: (request: http.IncomingMessage, response: http.ServerResponse) => void;
  } = {},
) {
  const requests: {
    method: string;
    url: string;
    headers: http.IncomingHttpHeaders;
    body: string;
  }[] = [];
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const { method = "", url = "", headers } = request;
    requests.push({ method, url, headers, body });
    await postHops(control, {}, (options.records ?? [{}]).map(recordOf));
    if (options.root !== null) response.setHeader("forklane-trace", options.root ?? ROOT);
    if (options.answer === undefined) response.end("ok");
    else options.answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  // It leaves no stream open, so it cannot be asked to flush: only its lease is short.
  const status = statusOf({ listen, mode: options.mode ?? "inbound" });
  await call(control, "POST", "/v1/proxies/entry-1/status", status);
  return { requests, listen };
}

function probe(control: Control, body: object = {}) {
  return call(control, "POST", "/v1/probes", { entry: "shop/cart", key: "jane-42", ...body });
}

/** Control whose flushes are short, because the entries of these tests do not watch. */
function startProbing() {
  return startControl({ limits: { flushMs: 5 } });
}

test("a sidecar gets the strict key as baggage, beside what the request has of its own", async () => {
  const control = await startProbing();
  const { requests } = await startEntry(control);
  const headers = { baggage: "other=1", "X-Test": "yes" };
  const request = { method: "POST", path: "/cart?x=1", headers, body: "hello" };
  expect((await probe(control, { request })).status).toBe(200);
  expect(requests).toMatchObject([
    {
      method: "POST",
      url: "/cart?x=1",
      headers: { baggage: "other=1,sandbox=jane-42!", "x-test": "yes" },
      body: "hello",
    },
  ]);
  expect(requests[0]?.headers["traceparent"]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test("an edge gets the strict key as a header, whatever way the key was written", async () => {
  const control = await startProbing();
  const { requests } = await startEntry(control, { mode: "edge" });
  for (const key of ["jane-42", "jane-42!"]) {
    await probe(control, { entry: "edge", key });
    expect(requests.at(-1)?.headers["forklane-key"]).toBe("jane-42!");
    expect(requests.at(-1)?.headers["baggage"]).toBeUndefined();
  }
});

test("expectations that hold do not match while the trace is incomplete", async () => {
  const control = await startProbing();
  await startEntry(control);
  const { body } = await probe(control, { expect: { "shop/cart": "fork", "shop/web": "absent" } });
  expect(body).toMatchObject({ matched: false, complete: false, status: 200, fault: null });
  expect(body.mismatches).toMatchObject([{ workload: null, actual: "incomplete" }]);
  expect(body.hops).toMatchObject([{ workload: "shop/cart", outcome: "fork" }]);
});

test("each expectation that does not hold is named, with what was instead and why", async () => {
  const control = await startProbing();
  await startEntry(control, {
    records: [
      { outcome: "baseline", reason: "not-forked" },
      { hop: "00000000000000b1", workload: "shop/pricing", sandbox: null },
      {
        hop: "00000000000000b1",
        workload: "shop/pricing",
        proxy: "pricing-fork",
        sandbox: "jane-42",
        outcome: "refused",
        reason: "wrong-fork",
      },
      { root: "00000000000000bb", workload: "shop/mail", traceId: "a".repeat(32) },
      { hop: "00000000000000c1", workload: "shop/web", traceId: "a".repeat(32) },
    ],
  });
  const expected = {
    "shop/cart": "fork",
    "shop/pricing": "fork",
    "shop/mail": "fork",
    "shop/gone": "fork",
    "shop/web": "absent",
  };
  const { body } = await probe(control, { expect: expected });
  const found = Object.fromEntries(
    body.mismatches.map((each: { workload: string; actual: string; why: string }) => [
      each.workload,
      `${each.actual}: ${each.why}`,
    ]),
  );
  expect(found["shop/cart"]).toMatch(/^baseline: .*not-forked/);
  expect(found["shop/pricing"]).toMatch(/^refused: .*pricing-fork/);
  expect(found["shop/mail"]).toMatch(/^absent: .*00000000000000bb/);
  expect(found["shop/gone"]).toMatch(/^absent: /);
  expect(found["shop/web"]).toMatch(/^fork: /);
});

test("an answer without a trace proves nothing", async () => {
  const control = await startProbing();
  await startEntry(control, { root: null });
  const { body } = await probe(control, { expect: { "shop/cart": "absent" } });
  expect(body).toMatchObject({ matched: false, complete: false, hops: [] });
  expect(body.trace.incomplete).toMatchObject([{ code: "no-record" }]);
});

test("a proxy's own answer is told by its fault", async () => {
  const control = await startProbing();
  const answer = (_: http.IncomingMessage, response: http.ServerResponse) => {
    response.writeHead(424, { "forklane-fault": "unknown-key; by=shop/cart" }).end();
  };
  await startEntry(control, { answer });
  const { body } = await probe(control);
  expect(body).toMatchObject({ status: 424, fault: "unknown-key; by=shop/cart" });
});

test("a redirect is not followed: only registered proxies are called", async () => {
  const control = await startProbing();
  const answer = (_: http.IncomingMessage, response: http.ServerResponse) => {
    response.writeHead(302, { location: "http://169.254.169.254/" }).end();
  };
  const { requests } = await startEntry(control, { answer });
  expect((await probe(control)).body.status).toBe(302);
  expect(requests).toHaveLength(1);
});

test("an entry that is not registered, or left, or is a fork's proxy or a caller's, is unknown", async () => {
  const control = await startProbing();
  const calling = statusOf({ workloads: ["shop/web"], callees: ["shop/cart"] });
  await call(control, "POST", "/v1/proxies/web-1/status", calling);
  const outbound = statusOf({ workloads: [], callees: ["shop/cart"], mode: "outbound" });
  await call(control, "POST", "/v1/proxies/out-1/status", outbound);
  expect((await probe(control, { entry: "out-1" })).body.code).toBe("entry-unknown");
  expect((await probe(control)).body).toMatchObject({ status: 404, code: "entry-unknown" });
  const atFork = statusOf({ sandbox: "jane-42" });
  await call(control, "POST", "/v1/proxies/fork-1/status", atFork);
  expect((await probe(control)).body.code).toBe("entry-unknown");
  expect((await probe(control, { entry: "edge" })).body.code).toBe("entry-unknown");
});

test("a proxy that registers an address outside the allowed networks is not called", async () => {
  const control = await startProbing();
  for (const listen of ["169.254.169.254:80", "8.8.8.8:80", "evil.example:80", "nonsense"]) {
    await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({ listen }));
    expect((await probe(control)).body).toMatchObject({ status: 502, code: "entry-unreachable" });
  }
});

test("a proxy that listens everywhere is called where its status came from", async () => {
  const control = await startProbing();
  const { listen, requests } = await startEntry(control);
  const everywhere = `0.0.0.0:${listen.split(":")[1]}`;
  await call(control, "POST", "/v1/proxies/entry-1/status", statusOf({ listen: everywhere }));
  expect((await probe(control)).status).toBe(200);
  expect(requests).toHaveLength(1);
});

test("headers that decide the route or the connection cannot be set by a probe", async () => {
  const control = await startProbing();
  const { requests } = await startEntry(control);
  for (const headers of [
    { "forklane-key": "x" },
    { "Forklane-Via": "x" },
    { connection: "close" },
    { "transfer-encoding": "chunked" },
    { baggage: "a=b, sandbox=other" },
    { "bad name": "x" },
    { "x-test": "a\r\nb: c" },
  ]) {
    const refused = await probe(control, { request: { headers } });
    expect(refused).toMatchObject({ status: 400, body: { code: "probe-header-refused" } });
  }
  expect(requests).toEqual([]);
});

test("a host with a key of its own is refused at an edge, which would read it; elsewhere it is a host", async () => {
  const control = await startProbing();
  const request = { headers: { host: "pr-7--shop.example.com" } };
  await startEntry(control, { mode: "edge" });
  const refused = await probe(control, { entry: "edge", request });
  expect(refused).toMatchObject({ status: 400, body: { code: "probe-header-refused" } });
  await startEntry(control);
  expect((await probe(control, { request })).status).toBe(200);
});

test("a trace of another tag than was sent is a mismatch, whatever else holds", async () => {
  const control = await startProbing();
  const { requests } = await startEntry(control, { mode: "edge", records: [{ tag: "jane-42" }] });
  const request = { headers: { cookie: "forklane-key=jane-42" } };
  const { body } = await probe(control, {
    entry: "edge",
    request,
    expect: { "shop/cart": "fork" },
  });
  expect(requests).toHaveLength(1);
  expect(body.mismatches[0]).toMatchObject({
    workload: "shop/cart",
    expected: "the tag jane-42!",
    actual: "jane-42",
  });
});

test("what a probe may ask for has limits", async () => {
  const control = await startControl({ limits: { probesAtOnceMax: 0 } });
  expect((await probe(control)).body).toMatchObject({ status: 429, code: "too-many" });
  const many = (count: number, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]));
  for (const body of [
    { expect: many(65, "fork") },
    { expect: { "shop/cart": "maybe" } },
    { request: { headers: many(51, "x") } },
    { request: { headers: { x: "x".repeat(16 * 1024 + 1) } } },
    { request: { body: "x".repeat(256 * 1024 + 1) } },
    { request: { path: "no-slash" } },
    { request: { method: "get" } },
  ]) {
    expect((await probe(control, body)).body.code).toBe("body-invalid");
  }
});

test("a key that is none, and a time that is too long, are refused", async () => {
  const control = await startProbing();
  await startEntry(control);
  for (const key of ["a--b", "", "a b", "jane-42;x"]) {
    expect((await probe(control, { key })).body.code).toMatch(/^body-invalid$/);
  }
  for (const timeout of ["61s", "0s", "soon"]) {
    const refused = (await probe(control, { timeout })).body;
    expect(refused).toMatchObject({ code: "body-invalid", errors: [{ path: "/timeout" }] });
  }
});

test("an entry that does not answer in time, or answers without end, ends the probe", async () => {
  const control = await startControl({ limits: { flushMs: 5, probeResponseBytesMax: 1_000 } });
  await startEntry(control, { answer: () => {} });
  const late = await probe(control, { timeout: "50ms" });
  const unreachable = { status: 502, body: { code: "entry-unreachable" } };
  expect(late).toMatchObject(unreachable);
  const unsaid = await startControl({ limits: { probeMs: 50 } });
  await startEntry(unsaid, { answer: () => {} });
  expect(await probe(unsaid)).toMatchObject(unreachable);
  const endless = await startEntry(control, {
    answer: (_, response) => {
      response.write("x".repeat(2_000));
    },
  });
  expect((await probe(control)).status).toBe(200);
  expect(endless.requests).toHaveLength(1);
});
