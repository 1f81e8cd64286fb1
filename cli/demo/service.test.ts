import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { Address } from "../../core/address.ts";
import { type RunningService, type ServiceOptions, startService } from "./service.ts";
import { SHOP, SHOP_SERVICES, type ShopService } from "./shop.ts";

const ANY_PORT: Address = { host: "127.0.0.1", port: 0 };
const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

test("the shop answers with every callee's answer inside", async () => {
  const shop = await startShop();
  const response = await get(shop.frontend.address, "/checkout");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    servedBy: "shop/frontend",
    version: "baseline",
    toPayCents: 3800,
    cart: {
      servedBy: "shop/cart",
      version: "baseline",
      lanterns: 2,
      totalCents: 3800,
      pricing: { servedBy: "shop/pricing", version: "baseline", lanternCents: 1900 },
      inventory: { servedBy: "shop/inventory", version: "baseline", lanternsInStock: 12 },
    },
    loyalty: { servedBy: "shop/loyalty", version: "baseline", points: 240 },
  });
});

test("the changed pricing names itself and another price", async () => {
  const pricing = await start({ service: "pricing", version: "jane-42" });
  expect(await (await get(pricing.address, "/price")).json()).toEqual({
    servedBy: "shop/pricing",
    version: "jane-42",
    lanternCents: 1500,
  });
});

test("baggage and traceparent go along with the calls of a request, and no other header does", async () => {
  const seen: IncomingHttpHeaders[] = [];
  const callee = await listenAnd(seen);
  const frontend = await start({ service: "frontend", callees: { cart: callee, loyalty: callee } });
  const baggage = "sandbox=jane-42!,a=b;p=1";
  await get(frontend.address, "/checkout", { baggage, traceparent: "00-x", "forklane-key": "k" });
  expect(seen.map((headers) => headers["baggage"])).toEqual([baggage, baggage]);
  expect(seen[0]?.["traceparent"]).toBe("00-x");
  expect(Object.keys(seen[0] ?? {}).sort()).toEqual([
    "baggage",
    "connection",
    "host",
    "traceparent",
  ]);
});

test("a request without baggage causes calls without baggage", async () => {
  const seen: IncomingHttpHeaders[] = [];
  const callee = await listenAnd(seen);
  const frontend = await start({ service: "frontend", callees: { cart: callee, loyalty: callee } });
  await get(frontend.address, "/checkout");
  expect(seen.map((headers) => headers["baggage"])).toEqual([undefined, undefined]);
});

test("a callee that cannot be reached is named in the answer", async () => {
  const gone = await start({ service: "loyalty" });
  await gone.stop();
  const frontend = await start({
    service: "frontend",
    callees: { cart: gone.address, loyalty: gone.address },
  });
  const response = await get(frontend.address, "/checkout");
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({
    servedBy: "shop/frontend",
    failed: expect.stringContaining(String(gone.address.port)),
  });
});

test.each([
  ["that does not answer", () => {}],
  ["that begins to answer", (response: ServerResponse) => response.write("{")],
])("a callee %s is waited for three seconds", async (_, begin) => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const callee = await listenFor((_request, response) => {
    begin(response);
    resolve();
  });
  const callees = { cart: callee, loyalty: await listenAnd([]) };
  const frontend = await start({ service: "frontend", callees });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const answer = get(frontend.address, "/checkout");
  await asked;
  vi.advanceTimersByTime(3_000);
  const failed = `cart at 127.0.0.1:${callee.port}: no answer in time`;
  expect(await (await answer).json()).toMatchObject({ failed });
});

test("an answer of a callee is read up to 64 Ki characters", async () => {
  const answerOf = async (chars: number) => {
    const callee = await listenFor((_, response) => response.end(`"${"x".repeat(chars - 2)}"`));
    const callees = { cart: callee, loyalty: await listenAnd([]) };
    const frontend = await start({ service: "frontend", callees });
    return (await get(frontend.address, "/checkout")).status;
  };
  expect([await answerOf(64 * 1024), await answerOf(64 * 1024 + 1)]).toEqual([200, 502]);
});

test("a callee has 64 connections at most, and further calls wait for one", async () => {
  let connections = 0;
  const held: ServerResponse[] = [];
  const callee = await listenFor(
    (_, response) => void held.push(response),
    () => connections++,
  );
  const callees = { cart: callee, loyalty: await listenAnd([]) };
  const frontend = await start({ service: "frontend", callees });
  const answers = Array.from({ length: 65 }, () => get(frontend.address, "/checkout"));
  await expect.poll(() => held.length).toBe(64);
  for (const response of held.splice(0)) response.end("{}");
  await expect.poll(() => held.length).toBe(1);
  held[0]?.end("{}");
  const statuses = await Promise.all(answers.map(async (answer) => (await answer).status));
  expect([statuses.every((status) => status === 200), connections]).toEqual([true, 64]);
});

test("another path is not found", async () => {
  const loyalty = await start({ service: "loyalty" });
  expect((await get(loyalty.address, "/")).status).toBe(404);
});

test("every callee of the shop is a service of the shop, and calls never go in a circle", () => {
  const seen: ShopService[] = [];
  for (const service of [...SHOP_SERVICES].reverse()) {
    for (const callee of SHOP[service].callees) expect(seen).toContain(callee);
    seen.push(service);
  }
});

/** Starts all services from the leaves to the frontend, without any proxy between. */
async function startShop(): Promise<Record<ShopService, RunningService>> {
  const shop: Partial<Record<ShopService, RunningService>> = {};
  for (const service of [...SHOP_SERVICES].reverse()) {
    const callees = Object.fromEntries(
      SHOP[service].callees.map((callee) => [callee, shop[callee]?.address ?? ANY_PORT]),
    );
    shop[service] = await start({ service, callees });
  }
  return shop as Record<ShopService, RunningService>;
}

async function start(options: Partial<ServiceOptions> & Pick<ServiceOptions, "service">) {
  const service = await startService({
    version: "baseline",
    listen: ANY_PORT,
    callees: {},
    ...options,
  });
  running.push(service);
  return service;
}

function listenAnd(seen: IncomingHttpHeaders[]): Promise<Address> {
  return listenFor((request, response) => {
    seen.push(request.headers);
    response.end("{}");
  });
}

async function listenFor(answer: RequestListener, onConnection = () => {}): Promise<Address> {
  const server: Server = createServer(answer).on("connection", onConnection);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  running.push({
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function get(address: Address, path: string, headers: Record<string, string> = {}) {
  return fetch(`http://${address.host}:${address.port}${path}`, { headers });
}

test("a broken client breaks the calls to its own callee only", async () => {
  const seen: IncomingHttpHeaders[] = [];
  const whole: IncomingHttpHeaders[] = [];
  const callees = { cart: await listenAnd(seen), loyalty: await listenAnd(whole) };
  const broken = { callee: "cart", variant: "raw" } as const;
  const frontend = await start({ service: "frontend", callees, broken });
  await get(frontend.address, "/checkout", { baggage: "sandbox=jane-42!" });
  expect(seen).toMatchObject([{ "user-agent": "cart-client/1.0" }]);
  expect(seen[0]?.["baggage"]).toBeUndefined();
  expect(whole).toMatchObject([{ baggage: "sandbox=jane-42!" }]);
});

test("an async client calls after the answer, which is there without its callee's", async () => {
  const seen: IncomingHttpHeaders[] = [];
  const callees = { pricing: await listenAnd(seen), inventory: await listenAnd([]) };
  const cart = await start({
    service: "cart",
    callees,
    broken: { callee: "pricing", variant: "async" },
  });
  const answer = await (
    await get(cart.address, "/cart", { baggage: "a=b", traceparent: "00-x" })
  ).json();
  expect(answer).toMatchObject({ totalCents: null });
  await expect.poll(() => seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({ traceparent: "00-x" });
  expect(seen[0]?.["baggage"]).toBeUndefined();
});
