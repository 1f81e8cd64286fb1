import { expect, test } from "vitest";
import {
  batchText,
  call,
  FakeClock,
  JANE,
  postHops,
  recordOf,
  startControl,
  statusOf,
} from "../control.fake.ts";

const ROOT = recordOf({}).root;

test("a batch is taken, and its request can be read as a trace", async () => {
  const control = await startControl();
  const entry = recordOf({ hop: "00000000000000e0", workload: "shop/web", outcome: "baseline" });
  const cart = recordOf({ parent: entry.hop });
  expect((await postHops(control, {}, [cart, entry])).status).toBe(204);
  const trace = await call(control, "GET", `/v1/traces/${ROOT}`);
  expect(trace.body).toMatchObject({
    root: ROOT,
    complete: true,
    incomplete: [],
    keys: ["jane-42"],
  });
  expect(trace.body.hops.map((hop: { workload: string }) => hop.workload)).toEqual([
    "shop/web",
    "shop/cart",
  ]);
});

test("a request is found by its trace id, with those that lost their parent's mark as orphans", async () => {
  const control = await startControl();
  const traceId = "a".repeat(32);
  const orphan = "00000000000000bb";
  await postHops(control, {}, [
    recordOf({ traceId }),
    recordOf({ root: orphan, traceId, workload: "shop/pricing", timeMs: recordOf({}).timeMs + 1 }),
  ]);
  const { body } = await call(control, "GET", `/v1/traces/${traceId}`);
  expect(body).toMatchObject({ root: ROOT, traceIds: [traceId], complete: true });
  expect(body.orphans).toMatchObject([{ root: orphan, hops: [{ workload: "shop/pricing" }] }]);
});

test("a request of which nothing is recorded is unknown, and an id that is none is refused", async () => {
  const control = await startControl();
  expect((await call(control, "GET", `/v1/traces/${ROOT}`)).body.code).toBe("trace-unknown");
  expect((await call(control, "GET", "/v1/traces/nonsense")).body.code).toBe("query-invalid");
});

test("a proxy that is there and does not answer makes the trace incomplete, by its name", async () => {
  const control = await startControl({ limits: { flushMs: 10 } });
  await call(control, "POST", "/v1/proxies/web-1/status", statusOf({ workloads: ["shop/web"] }));
  await postHops(control, {}, [recordOf({})]);
  const { body } = await call(control, "GET", `/v1/traces/${ROOT}`);
  expect(body.complete).toBe(false);
  expect(body.incomplete).toMatchObject([{ code: "proxy-silent" }]);
  expect(body.incomplete[0].detail).toContain("web-1");
});

test("a proxy that is lost, and then forgotten, makes the trace of its time incomplete for good", async () => {
  const clock = new FakeClock();
  const control = await startControl({ clock, limits: { silentProxyMs: 60_000, proxiesMax: 1 } });
  const join = (instance: string) =>
    call(control, "POST", `/v1/proxies/${instance}/status`, statusOf({}));
  clock.advance(1_000);
  await join("web-1");
  await postHops(control, {}, [recordOf({})]);
  clock.advance(30_000);
  const codes = async () => {
    const { body } = await call(control, "GET", `/v1/traces/${ROOT}`);
    return body.incomplete.map(({ code }: { code: string }) => code);
  };
  expect(await codes()).toEqual(["proxy-lost"]);
  // It gives way to one that speaks, and leaves properly.
  await join("web-2");
  await call(control, "POST", "/v1/proxies/web-2/status", statusOf({ leaving: true }));
  expect(await codes()).toEqual(["proxy-lost"]);
  await postHops(control, {}, [recordOf({ root: "00000000000000bb" })]);
  const later = await call(control, "GET", "/v1/traces/00000000000000bb");
  expect(later.body.complete).toBe(true);
});

test("records that a proxy dropped make the traces of that key incomplete", async () => {
  const control = await startControl();
  await postHops(control, { dropped: { "jane-42": 2 } }, [recordOf({})]);
  const { body } = await call(control, "GET", `/v1/traces/${ROOT}`);
  expect(body).toMatchObject({ complete: false, incomplete: [{ code: "records-dropped" }] });
});

test("a batch with one wrong line is refused whole, and the line is named", async () => {
  const control = await startControl();
  const type = { "content-type": "application/x-ndjson" };
  const post = (text: string) => call(control, "POST", "/v1/hops", text, type);
  const good = batchText({}, [recordOf({})]);
  for (const bad of ["{}\n", "nonsense\n", `${JSON.stringify({ ...recordOf({}), root: "x" })}\n`]) {
    const refused = await post(good + bad);
    expect(refused).toMatchObject({ status: 400, body: { code: "record-invalid" } });
    expect(refused.body.detail).toContain("line 3");
  }
  expect((await post("")).body.code).toBe("record-invalid");
  expect((await post(`${JSON.stringify(recordOf({}))}\n`)).body.code).toBe("record-invalid");
  expect((await call(control, "GET", `/v1/traces/${ROOT}`)).status).toBe(404);
});

test("a batch over 1 MiB is too large, and JSON is not its media type", async () => {
  const control = await startControl();
  const text = batchText({}, [recordOf({})]) + " ".repeat(1024 * 1024);
  const type = { "content-type": "application/x-ndjson" };
  expect((await call(control, "POST", "/v1/hops", text, type)).body.code).toBe("body-too-large");
  expect((await call(control, "POST", "/v1/hops", "{}")).body.code).toBe("media-type-unsupported");
});

test("a newer proxy may say more of a hop than this control knows", async () => {
  const control = await startControl();
  const record = { ...recordOf({}), colour: "red" };
  expect((await postHops(control, {}, [record])).status).toBe(204);
});

test("explain answers as a proxy would decide", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const explain = async (workload: string, headers: object) =>
    (await call(control, "POST", "/v1/explain", { workload, headers })).body;
  const tagged = { Baggage: ["other=1", " sandbox=jane-42! "] };
  expect(await explain("shop/cart", tagged)).toMatchObject({
    outcome: "fork",
    reason: "fork",
    tag: "jane-42!",
    strict: true,
    key: "jane-42",
    sandbox: "jane-42",
    endpoints: ["127.0.0.1:9002"],
    onUnavailable: "fail",
  });
  const header = { "forklane-key": "jane-42" };
  expect(await explain("shop/web", header)).toMatchObject({ reason: "not-forked", strict: false });
  expect(await explain("shop/cart", {})).toMatchObject({ outcome: "baseline", reason: "no-key" });
  expect(await explain("shop/cart", { baggage: "sandbox=unknown-key!" })).toMatchObject({
    outcome: "refused",
    reason: "unknown-key",
    status: 424,
  });
  const wrong = await call(control, "POST", "/v1/explain", { workload: "cart", headers: {} });
  expect(wrong.body.code).toBe("body-invalid");
});

test("the table of a workload has a strong ETag: the same while nothing of it changed", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const path = "/v1/routes/shop/cart";
  const table = await call(control, "GET", path);
  expect(table.body).toMatchObject({ known: ["jane-42"], expired: [] });
  expect(table.body.routes["jane-42"].endpoints).toEqual(["127.0.0.1:9002"]);
  const etag = String(table.headers["etag"]);
  expect(etag).toMatch(/^"[\w-]+"$/);
  await call(control, "PATCH", "/v1/sandboxes/jane-42", { labels: { a: "b" } });
  const again = await call(control, "GET", path, undefined, { "if-none-match": etag });
  expect(again).toMatchObject({ status: 304, body: "" });
  await call(control, "PATCH", "/v1/sandboxes/jane-42", { onUnavailable: "baseline" });
  const changed = await call(control, "GET", path, undefined, { "if-none-match": etag });
  expect(changed.status).toBe(200);
  expect(changed.headers["etag"]).not.toBe(etag);
  expect((await call(control, "GET", "/v1/routes/shop/_")).body.code).toBe("query-invalid");
});

test("a trace shows only so many orphans", async () => {
  const control = await startControl({ limits: { orphanRootsMax: 1 } });
  const traceId = "a".repeat(32);
  const roots = ["00000000000000b1", "00000000000000b2", "00000000000000b3"];
  await postHops(
    control,
    {},
    roots.map((root) => recordOf({ root, traceId })),
  );
  const { body } = await call(control, "GET", `/v1/traces/${traceId}`);
  expect(body.orphans).toHaveLength(1);
});
