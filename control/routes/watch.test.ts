import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type SseEvent, SseReader } from "../../core/sse.ts";
import { ControlClient } from "../client/client.ts";
import {
  call,
  FakeClock,
  JANE,
  postHops,
  recordOf,
  startControl,
  statusOf,
} from "../control.fake.ts";
import type { Control } from "../server.ts";

/** A stream of events over a real socket. */
class TestStream {
  readonly events: SseEvent[] = [];
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  isOver = false;
  body = "";
  readonly #response: http.IncomingMessage;

  constructor(response: http.IncomingMessage) {
    this.#response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    const reader = new SseReader();
    response.setEncoding("utf8").on("data", (text: string) => {
      this.body += text;
      const events = reader.read(text);
      if (events.ok) this.events.push(...events.value);
    });
    response.on("error", () => {});
    response.on("close", () => {
      this.isOver = true;
    });
  }

  /** The event of this kind that came `index`-th, once it has come. */
  async event(kind: string, index = 0): Promise<SseEvent> {
    const find = () => this.events.filter((each) => each.event === kind)[index];
    await expect.poll(find).toBeDefined();
    const event = find();
    if (event === undefined) throw new Error(`no ${kind}`);
    return event;
  }

  end(): void {
    this.#response.destroy();
  }
}

async function open(
  control: Control,
  path: string,
  headers: Record<string, string> = {},
): Promise<TestStream> {
  const request = http.get(control.url + path, { headers, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const stream = new TestStream(response);
  onTestFinished(() => stream.end());
  return stream;
}

test("a proxy that watches hears of a PUT before the PUT is answered", async () => {
  const control = await startControl();
  const stream = await open(control, "/v1/watch?workload=shop/cart&instance=cart-1");
  expect(stream.headers).toMatchObject({
    "content-type": "text/event-stream",
    "forklane-protocol": "1",
  });
  const snapshot = await stream.event("snapshot");
  expect(JSON.parse(snapshot.data)).toMatchObject({ workloads: { "shop/cart": { routes: {} } } });
  const { body } = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const routes = await stream.event("routes");
  expect(routes.id).toBe(body.status.revision);
  expect(JSON.parse(routes.data).table.routes["jane-42"].endpoints).toEqual(["127.0.0.1:9002"]);
  expect((await stream.event("keys")).id).toBe(snapshot.id);
});

test("a watcher resumes where it was", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const first = await open(control, "/v1/watch?workload=shop/cart");
  const { id } = await first.event("snapshot");
  first.end();
  await call(control, "PUT", "/v1/sandboxes/bob", { forks: JANE.forks });
  const resumed = await open(control, "/v1/watch?workload=shop/cart", { "last-event-id": id });
  await resumed.event("runs");
  expect(resumed.events.map((each) => each.event)).toEqual(["keys", "routes", "runs"]);
});

test("watches that control cannot serve are refused with the reason", async () => {
  const control = await startControl({ limits: { watchersMax: 1 } });
  const refused = async (path: string, headers: Record<string, string> = {}) => {
    const stream = await open(control, path, headers);
    await expect.poll(() => stream.isOver).toBe(true);
    return [stream.status, JSON.parse(stream.body).code];
  };
  const many = Array.from({ length: 65 }, (_, i) => `workload=s/w${i}`).join("&");
  for (const query of [
    "",
    "workload=cart",
    "namespace=A",
    "workload=a/b&namespace=a",
    many,
    "x=1",
  ]) {
    expect(await refused(`/v1/watch?${query}`)).toEqual([400, "query-invalid"]);
  }
  const path = "/v1/watch?workload=shop/cart";
  const protocol = { "forklane-protocol": "2" };
  expect(await refused(path, protocol)).toEqual([400, "protocol-unsupported"]);
  const revision = (await call(control, "GET", "/readyz")).body.revision.replace(/\.0$/, ".9");
  expect(await refused(path, { "last-event-id": revision })).toEqual([409, "revision-ahead"]);
  await (await open(control, path)).event("snapshot");
  expect(await refused(path)).toEqual([429, "too-many"]);
});

test("a watcher that does not read is dropped, and nobody else feels it", async () => {
  const control = await startControl({ limits: { watcherQueuedBytesMax: 64 * 1024 } });
  const swift = await open(control, "/v1/watch?workload=shop/cart");
  await swift.event("snapshot");
  const slow = connect(control.address.port, control.address.host);
  onTestFinished(() => void slow.destroy());
  slow.on("error", () => {});
  slow.write("GET /v1/watch?workload=shop/cart HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
  await once(slow, "data");
  slow.pause();
  const watchers = async () => {
    const { body } = await call(control, "GET", "/metrics");
    return /forklane_control_watchers_dropped (\d+)/.exec(body)?.[1];
  };
  const endpoints = Array.from({ length: 64 }, (_, i) => `127.0.0.1:${10_000 + i}`);
  const forks = Array.from({ length: 32 }, (_, i) => ({ workload: `shop/s${i}`, endpoints }));
  const cart = { workload: "shop/cart", endpoints };
  // Each event carries the whole table, so the queue of one who does not read grows with each.
  for (let i = 0; (await watchers()) === "0" && i < 2_000; i++) {
    const body = { forks: [cart, ...forks.slice(0, 1)], labels: { i: String(i) } };
    await call(control, "PUT", `/v1/sandboxes/s-${i % 50}`, i < 50 ? body : moved(body, i));
  }
  expect(await watchers()).toBe("1");
  const { body } = await call(control, "PUT", "/v1/sandboxes/last", { forks: JANE.forks });
  await expect.poll(() => swift.events.at(-1)?.id).toBe(body.status.revision);
});

function moved(body: { forks: object[] }, i: number): object {
  const [, ...rest] = body.forks;
  return {
    ...body,
    forks: [{ workload: "shop/cart", endpoints: [`127.0.0.1:${i + 1}`] }, ...rest],
  };
}

test("control asks proxies that watch for their records before it answers a trace", async () => {
  const control = await startControl();
  const stream = await open(control, "/v1/watch?workload=shop/cart&instance=cart-1");
  await stream.event("snapshot");
  await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({}));
  const record = recordOf({});
  const trace = call(control, "GET", `/v1/traces/${record.root}`);
  const { flush } = JSON.parse((await stream.event("flush")).data);
  await postHops(control, { flush }, [record]);
  expect((await trace).body).toMatchObject({ complete: true, hops: [{ workload: "shop/cart" }] });
});

test("heartbeats come at their interval, without an id", async () => {
  const control = await startControl({ limits: { heartbeatMs: 10 } });
  const stream = await open(control, "/v1/watch?namespace=shop");
  const heartbeat = await stream.event("heartbeat", 1);
  expect(heartbeat.id).toBe((await stream.event("snapshot")).id);
  expect(JSON.parse(heartbeat.data)).toEqual({ revision: heartbeat.id });
});

test("events tell of resources as they are created, updated, deleted and expire", async () => {
  const clock = new FakeClock();
  const control = await startControl({ clock });
  const client = new ControlClient({ url: control.url });
  const ended = new AbortController();
  onTestFinished(async () => {
    ended.abort();
    await client.close();
  });
  const stream = await open(control, "/v1/events");
  const told = () => stream.events.map((each) => [each.event, JSON.parse(each.data).type]);
  await client.putSandbox("jane-42", JANE);
  await client.putSandbox("jane-42", JANE);
  await client.patchSandbox("jane-42", { labels: { a: "b" } });
  await client.deleteSandbox("jane-42");
  await client.putSandbox("bob", { ...JANE, ttl: { max: "10s" } });
  await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({}));
  clock.advance(10_000);
  await expect.poll(told, { timeout: 5_000 }).toEqual([
    ["sandbox", "created"],
    ["sandbox", "updated"],
    ["sandbox", "deleted"],
    ["sandbox", "created"],
    ["proxy", "created"],
    ["sandbox", "expired"],
  ]);
});

test("one sandbox's exchanges are told as they are recorded, others' are not", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const path = "/v1/sandboxes/jane-42/exchanges";
  const stream = await open(control, path);
  await postHops(control, {}, [recordOf({ key: "bob-7" }), recordOf({ status: 201 })]);
  expect(JSON.parse((await stream.event("exchange")).data)).toMatchObject({ status: 201 });
  expect(stream.events).toHaveLength(1);
  const unknown = await call(control, "GET", "/v1/sandboxes/absent/exchanges");
  expect(unknown.body.code).toBe("sandbox-unknown");
});

test("no more streams of events are open than are allowed", async () => {
  const control = await startControl({ limits: { eventStreamsMax: 1 } });
  await open(control, "/v1/events");
  expect((await call(control, "GET", "/v1/events")).body.code).toBe("too-many");
});

test("a stop ends the streams", async () => {
  const control = await startControl();
  const stream = await open(control, "/v1/watch?workload=shop/cart");
  const events = await open(control, "/v1/events");
  await control.close();
  await expect.poll(() => stream.isOver && events.isOver).toBe(true);
});

test("there are no more connections than are allowed", async () => {
  const control = await startControl({ limits: { connectionsMax: 1 } });
  await (await open(control, "/v1/watch?workload=shop/cart")).event("snapshot");
  await expect(open(control, "/v1/events")).rejects.toThrow();
});
