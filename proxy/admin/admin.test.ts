import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Address } from "../../core/address.ts";
import { readProxyConfig } from "../config.ts";
import { parseTable, workloadTable } from "../routing/table.ts";
import { Admin, isPlainHost } from "./admin.ts";

const TABLE = parseTable(
  {
    revision: "e.1",
    routes: { "jane-42": { sandbox: "jane", endpoints: ["127.0.0.1:9002"] } },
    known: ["pr-7"],
  },
  "shop/cart",
);

let admin: Admin;
let address: Address;
let notReady: string | null;
/** Texts of metrics that were begun, and what each of them waits for. */
let texts: number;
let wait: Promise<void>;
let shown: string;

beforeEach(async () => {
  notReady = null;
  texts = 0;
  wait = Promise.resolve();
  shown = "forklane_up 1\n";
  await start({});
});
afterEach(() => admin.stop());

async function start(flags: Readonly<Record<string, string>>): Promise<void> {
  admin = newAdmin(flags, { host: "127.0.0.1", port: 0 });
  address = await admin.start();
}

function newAdmin(flags: Readonly<Record<string, string>>, listen: Address): Admin {
  const quick = { listen: "127.0.0.1:0", upstream: "127.0.0.1:9001", workload: "shop/cart" };
  const config = readProxyConfig({ ...quick, table: "table.json", ...flags }, {});
  if (!config.ok) throw config.error;
  if (!TABLE.ok) throw new Error(TABLE.error);
  const table = workloadTable(TABLE.value, "shop/cart");
  return new Admin({
    config: config.value,
    listen,
    table: () => table,
    notReady: () => notReady,
    metrics: async () => {
      texts++;
      await wait;
      return { contentType: "text/plain; version=0.0.4", text: shown };
    },
    facts: () => ({ state: "current" }),
  });
}

/** More than the sockets of both ends hold. */
const ANSWER_BYTES = 64 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(path: string, options: http.RequestOptions = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ ...address, agent: false, path, ...options }, (response) => {
      text(response).then(
        (answered) => resolve({ status: response.statusCode ?? 0, body: answered }),
        reject,
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const JSON_TYPE = { "content-type": "application/json" };

async function explained(headers: unknown): Promise<unknown> {
  const body = JSON.stringify({ headers });
  const answer = await ask("/explain", { method: "POST", headers: JSON_TYPE }, body);
  return JSON.parse(answer.body);
}

describe("admin", () => {
  it("says that it is alive and ready, and why it is not", async () => {
    expect(await ask("/healthz")).toEqual({ status: 200, body: "ok\n" });
    expect((await ask("/readyz")).status).toBe(200);
    notReady = "draining";
    expect(await ask("/readyz")).toEqual({ status: 503, body: "not ready: draining\n" });
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("shows metrics and the configuration", async () => {
    expect(await ask("/metrics")).toEqual({ status: 200, body: "forklane_up 1\n" });
    const shown = JSON.parse((await ask("/config")).body) as Record<string, unknown>;
    expect(shown).toMatchObject({ workload: "shop/cart", state: "current" });
    expect(shown["trustTagsFrom"]).toContain("10.0.0.0/8");
  });

  it("explains where a request would go, by the proxy's own decision", async () => {
    expect(await explained({ Baggage: "a=b, sandbox=jane-42!" })).toEqual({
      workload: "shop/cart",
      tag: "jane-42!",
      decision: "fork",
      reason: "fork",
      key: "jane-42",
      status: 0,
      sandbox: "jane",
      endpoints: ["127.0.0.1:9002"],
      collision: null,
      revision: "e.1",
    });
    expect(await explained({})).toMatchObject({ decision: "baseline", reason: "no-key" });
    expect(await explained({ "forklane-key": ["pr-7"] })).toMatchObject({ reason: "not-forked" });
    expect(await explained({ "forklane-key": "pr-9!" })).toMatchObject({
      decision: "refused",
      reason: "unknown-key",
      status: 424,
    });
  });

  it("explains next to a fork that the request is not its sandbox's", async () => {
    await admin.stop();
    await start({ sandbox: "other" });
    expect(await explained({ "forklane-key": "jane-42" })).toMatchObject({
      decision: "refused",
      reason: "wrong-fork",
      status: 421,
    });
  });

  it("explains at an edge where a caller from outside would go", async () => {
    await admin.stop();
    await start({ mode: "edge" });
    const fork = { decision: "fork", reason: "fork", key: "jane-42" };
    expect(await explained({ host: "jane-42--shop.test" })).toMatchObject(fork);
    expect(await explained({ cookie: "a=b; forklane-key=jane-42" })).toMatchObject(fork);
    expect(await explained({ "forklane-key": "jane-42" })).toMatchObject(fork);
    const none = { decision: "baseline", reason: "no-key" };
    expect(await explained({ host: "shop.test" })).toMatchObject(none);
    expect(await explained({ baggage: "sandbox=jane-42" })).toMatchObject(none);
  });

  it.each([
    ["no JSON", "{"],
    ["null", "null"],
    ["without headers", "{}"],
    ["with a header that is no text", '{"headers": {"a": 7}}'],
    ["with too many headers", JSON.stringify({ headers: { a: Array(101).fill("b") } })],
  ])("refuses a question that is %s", async (_, body) => {
    const answer = await ask("/explain", { method: "POST", headers: JSON_TYPE }, body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 400, detail: expect.any(String) });
  });

  it("refuses a question that is longer than the limit", async () => {
    const body = `{"headers": {"a": "${"b".repeat(70_000)}"}}`;
    const answer = await ask("/explain", { method: "POST", headers: JSON_TYPE }, body);
    expect(answer.status).toBe(413);
  });

  it("refuses what a web page could send: a Host with a name, a form's content type", async () => {
    expect((await ask("/config", { headers: { host: "evil.example" } })).status).toBe(421);
    const headers = { "content-type": "text/plain" };
    expect((await ask("/explain", { method: "POST", headers }, "{}")).status).toBe(415);
  });

  it("knows its paths and their methods", async () => {
    expect((await ask("/nothing")).status).toBe(404);
    expect((await ask("/readyz", { method: "POST" })).status).toBe(405);
    expect((await ask("/explain")).status).toBe(405);
    expect((await ask("/readyz", { method: "HEAD" })).status).toBe(200);
  });

  it("answers one request of a connection, however many come at once, and closes it", async () => {
    const question = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const socket = net.connect(address.port, address.host);
    socket.write(question.repeat(100));
    const answered = await text(socket);
    expect(answered.match(/^HTTP\/1\.1 .*/gm)).toEqual(["HTTP/1.1 200 OK"]);
    expect(answered).toMatch(/\r\nConnection: close\r\n/i);
    expect(texts).toBe(1);
  });

  it("makes one text of metrics for all who ask while it is made", async () => {
    const making = Promise.withResolvers<void>();
    wait = making.promise;
    const asked = [ask("/metrics"), ask("/metrics"), ask("/metrics")];
    await expect.poll(() => texts).toBe(1);
    await ask("/healthz");
    making.resolve();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(texts).toBe(1);
    await ask("/metrics");
    expect(texts).toBe(2);
  });

  it("closes after a while who sends no whole request, or does not take the answer", async () => {
    shown = "a".repeat(ANSWER_BYTES);
    const deaf = net.connect(address.port, address.host);
    deaf.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(deaf, "readable");
    const slow = net.connect(address.port, address.host);
    slow.write("GET /healthz HTTP/1.1\r\na: ");
    const drip = setInterval(() => slow.write("a"), 100);
    slow.on("error", () => undefined).on("close", () => clearInterval(drip));
    expect(await text(slow)).toBe("");
    expect((await text(deaf)).length).toBeLessThan(ANSWER_BYTES);
  }, 20_000);

  it("takes a limited number of connections", async () => {
    const sockets = Array.from({ length: 70 }, () => net.connect(address.port, address.host));
    let closed = 0;
    for (const socket of sockets) socket.on("error", () => {}).on("close", () => closed++);
    await expect.poll(() => closed).toBe(6);
    for (const socket of sockets) socket.destroy();
  });

  it("rejects with the system's error when its address is taken", async () => {
    const other = newAdmin({}, address);
    await expect(other.start()).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("a Host", () => {
  it.each(["127.0.0.1", "10.1.2.3:19470", "[::1]:80", "[::1]", "localhost", "LOCALHOST:1"])(
    "%s is an address",
    (host) => expect(isPlainHost(host)).toBe(true),
  );
  it.each([
    undefined,
    "",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "::1",
    "[x]",
  ])("%s is none", (host) => expect(isPlainHost(host)).toBe(false));
});
