import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { call, JANE, postHops, recordOf, startControl, statusOf } from "../control.fake.ts";
import { ControlClient, ControlProblem, ControlUnreachable } from "./client.ts";

async function setUp() {
  const control = await startControl({ limits: { flushMs: 5 } });
  return { control, client: clientOf(control.url) };
}

function clientOf(url: string, timeoutMs?: number): ControlClient {
  const client = new ControlClient({ url, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  onTestFinished(() => client.close());
  return client;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof ControlProblem ? error.problem.code : String(error);
}

test("sandboxes: put, patch, get, list, dry run and delete", async () => {
  const { client } = await setUp();
  const created = await client.putSandbox("jane-42", JANE, { ifAbsent: true });
  expect(created).toMatchObject({ name: "jane-42", ...JANE });
  expect(await codeOf(client.putSandbox("jane-42", JANE, { ifAbsent: true }))).toBe(
    "precondition-failed",
  );
  const ifMatch = created.status.etag;
  const patched = await client.patchSandbox("jane-42", { labels: { team: "cart" } }, { ifMatch });
  expect(patched.labels).toEqual({ team: "cart" });
  expect(await codeOf(client.deleteSandbox("jane-42", { ifMatch }))).toBe("precondition-failed");
  expect((await client.dryRunSandbox("bob", { forks: JANE.forks })).action).toBe("create");
  const page = await client.listSandboxes({ labelSelector: "team=cart", limit: 10 });
  expect(page.items.map((each) => each.name)).toEqual(["jane-42"]);
  const waited = await client.getSandbox("jane-42", { waitReady: "1ms" });
  expect(waited.status.ready).toBe(false);
  await client.deleteSandbox("jane-42");
  await client.deleteSandbox("jane-42");
  expect(await codeOf(client.getSandbox("jane-42"))).toBe("sandbox-unknown");
});

test("route groups: put, patch, get, list, dry run and delete", async () => {
  const { client } = await setUp();
  await client.putRouteGroup("release", { sandboxes: ["jane-42"] });
  await client.patchRouteGroup("release", { labels: { a: "b" } });
  expect((await client.getRouteGroup("release")).labels).toEqual({ a: "b" });
  expect((await client.listRouteGroups()).items).toHaveLength(1);
  expect((await client.dryRunRouteGroup("release", { sandboxes: ["x"] })).action).toBe("replace");
  await client.deleteRouteGroup("release");
  expect(await codeOf(client.getRouteGroup("release"))).toBe("route-group-unknown");
});

test("workloads, proxies, routes, explain, traces and probes", async () => {
  const { client, control } = await setUp();
  await client.putSandbox("jane-42", JANE);
  await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({ listen: "127.0.0.1:1" }));
  expect((await client.listWorkloads()).items.map((each) => each.name)).toEqual(["shop/cart"]);
  expect((await client.listProxies()).items.map((each) => each.instance)).toEqual(["cart-1"]);
  expect((await client.getRoutes("shop/cart")).known).toEqual(["jane-42"]);
  const headers = { baggage: "sandbox=jane-42" };
  expect((await client.explain({ workload: "shop/cart", headers })).outcome).toBe("fork");
  await postHops(control, {}, [recordOf({})]);
  expect((await client.getTrace(recordOf({}).root)).hops).toHaveLength(1);
  const probed = client.probe({ entry: "shop/cart", key: "jane-42" });
  expect(await codeOf(probed)).toBe("entry-unreachable");
  expect(await client.isReady()).toBe(true);
});

test("a failure carries the whole problem document", async () => {
  const { client } = await setUp();
  const body = { forks: [], colour: "red" };
  const error = await client.putSandbox("jane-42", body).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ControlProblem);
  const { problem } = error as ControlProblem;
  expect(problem).toMatchObject({ status: 400, code: "body-invalid", title: expect.any(String) });
  expect(problem.errors?.map((each) => each.path).sort()).toEqual(["/colour", "/forks"]);
  expect(problem.fix).toContain("/openapi.json");
});

test("events and exchanges are read as they come, until the caller has enough", async () => {
  const { client, control } = await setUp();
  await client.putSandbox("jane-42", JANE);
  const enough = new AbortController();
  const events = client.events(enough.signal);
  const exchanges = client.exchanges("jane-42", enough.signal);
  const [event, exchange] = [events.next(), exchanges.next()];
  const count = async () => (await call(control, "GET", "/metrics")).body;
  await expect.poll(count).toContain("forklane_control_event_streams 2");
  await client.deleteSandbox("jane-42");
  await client.putSandbox("jane-42", JANE);
  await postHops(control, {}, [recordOf({})]);
  expect((await event).value).toMatchObject({ event: "sandbox" });
  expect((await exchange).value).toMatchObject({ event: "exchange" });
  enough.abort();
  expect((await exchanges.next()).done).toBe(true);
});

test("a stream that control refuses is a failure like any other", async () => {
  const { client } = await setUp();
  const stream = client.exchanges("absent", new AbortController().signal);
  expect(await codeOf(stream.next())).toBe("sandbox-unknown");
});

test("no control, a silent one and something else are told apart from a failure", async () => {
  const { control, client } = await setUp();
  await control.close();
  await expect(client.getSandbox("x")).rejects.toBeInstanceOf(ControlUnreachable);
  await expect(client.getSandbox("x")).rejects.toThrow(control.url);
  expect(await client.isReady()).toBe(false);
  const silent = clientOf(await startServer(() => {}), 20);
  await expect(silent.getSandbox("x")).rejects.toBeInstanceOf(ControlUnreachable);
  const page = clientOf(await startServer((_, response) => response.end("<html>")));
  await expect(page.getSandbox("x")).rejects.toBeInstanceOf(ControlUnreachable);
  const other = clientOf(await startServer((_, response) => response.writeHead(500).end("no")));
  expect(await codeOf(other.getSandbox("x"))).toBe("not-control");
});

test("an answer without end is read up to 64 MiB", async () => {
  const piece = Buffer.alloc(1024 * 1024, "x");
  let sent = 0;
  const endless = await startServer((_, response) => {
    const send = () => {
      sent += piece.length;
      // Past four times as much it gives up, so that a client without a bound fails, too.
      if (sent > 256 * piece.length) response.end();
      else response.write(piece, (error) => error ?? send());
    };
    send();
  });
  const client = clientOf(endless);
  await expect(client.getSandbox("x")).rejects.toThrow("longer than 67108864 characters");
});

async function startServer(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
