import { describe, expect, onTestFinished, test } from "vitest";
import { formatAddress } from "../../core/address.ts";
import { readProxyConfig } from "../../proxy/config.ts";
import { createProxy, type RunningProxy } from "../../proxy/proxy.ts";
import { get } from "../harness/client.ts";
import { completeTrace, startControl, type TestControl } from "../harness/control.ts";
import { type Service, type ServiceAnswer, startService } from "../harness/service.ts";

/** The whole: control, an edge, and services that call others in parallel, a proxy at each. */

async function proxyOf(
  control: TestControl,
  workload: string,
  upstream: string,
  flags: Readonly<Record<string, string>> = {},
): Promise<RunningProxy & { readonly at: string; readonly port: number }> {
  const config = readProxyConfig(
    {
      listen: "127.0.0.1:0",
      upstream,
      workload,
      control: control.url,
      "access-log": "off",
      ...flags,
    },
    {},
  );
  if (!config.ok) throw new Error(config.error.message);
  const limits = { ...config.value.limits, drainAcceptMs: 0, drainMs: 200 };
  const proxy = await createProxy({ ...config.value, limits });
  let isDrained = false;
  const drain = async () => {
    if (!isDrained) await proxy.drain();
    isDrained = true;
  };
  onTestFinished(drain);
  return { ...proxy, drain, at: formatAddress(proxy.listen), port: proxy.listen.port };
}

async function startShop() {
  const control = await startControl();
  const beside = async (name: string, service: Service) =>
    await proxyOf(control, `shop/${name}`, service.at);
  const services = {
    pricing: await startService("pricing"),
    loyalty: await startService("loyalty"),
  };
  const pricing = await beside("pricing", services.pricing);
  const loyalty = await beside("loyalty", services.loyalty);
  const cart = await beside("cart", await startService("cart", [pricing.at, loyalty.at]));
  const front = await beside("front", await startService("front", [cart.at, loyalty.at]));
  const edge = await proxyOf(control, "shop/edge", front.at, { mode: "edge" });
  return { control, edge, pricing, services };
}

/** Starts a fork of pricing with a proxy of its own, and a sandbox that is ready. */
async function fork(shop: Awaited<ReturnType<typeof startShop>>, key: string) {
  const service = await startService(`pricing of ${key}`);
  const proxy = await proxyOf(shop.control, "shop/pricing", service.at, { sandbox: key });
  await shop.control.client.putSandbox(key, {
    forks: [{ workload: "shop/pricing", endpoints: [proxy.at] }],
    routingKey: key,
  });
  const sandbox = await shop.control.client.getSandbox(key, { waitReady: "10s" });
  expect(sandbox.status.ready).toBe(true);
  return { service, proxy };
}

function namesIn(answer: ServiceAnswer): readonly string[] {
  return [answer.name, ...answer.calls.flatMap(namesIn)];
}

describe("a tagged request", () => {
  test("reaches its fork at depth, and its trace is exact, with calls in parallel and no trace headers", async () => {
    const shop = await startShop();
    const keys = ["jane-42", "joe-7"];
    for (const key of keys) await fork(shop, key);
    const asks = Array.from({ length: 24 }, (_, i) => keys[i % keys.length] ?? "");
    const answers = await Promise.all(
      asks.map(async (key) => ({
        key,
        seen: await get(shop.edge.port, { fields: [`forklane-key: ${key}!`] }),
      })),
    );
    for (const { key, seen } of answers) {
      expect(seen.status).toBe(200);
      expect(namesIn(JSON.parse(seen.body))).toEqual([
        "front",
        "cart",
        `pricing of ${key}`,
        "loyalty",
        "loyalty",
      ]);
      const trace = await completeTrace(shop.control.client, seen.fields["forklane-trace"]);
      expect(trace.incomplete).toEqual([]);
      expect(trace.complete).toBe(true);
      const rows = trace.hops.map(
        (hop) => `${hop.depth} ${hop.workload} ${hop.outcome} ${hop.confirmed}`,
      );
      expect([...rows].sort()).toEqual(
        [
          "0 shop/edge baseline false",
          "1 shop/front baseline false",
          "2 shop/cart baseline false",
          "2 shop/loyalty baseline false",
          "3 shop/loyalty baseline false",
          "3 shop/pricing fork true",
        ].sort(),
      );
      const byId = new Map(trace.hops.map((hop) => [hop.hop, hop.workload]));
      const parents = trace.hops.map(
        (hop) => `${byId.get(hop.parent ?? "") ?? "-"} > ${hop.workload}`,
      );
      expect([...parents].sort()).toEqual(
        [
          "- > shop/edge",
          "shop/edge > shop/front",
          "shop/front > shop/cart",
          "shop/front > shop/loyalty",
          "shop/cart > shop/loyalty",
          "shop/cart > shop/pricing",
        ].sort(),
      );
    }
  });

  test("in the control arm, or untagged, reaches the baseline only", async () => {
    const shop = await startShop();
    const { service } = await fork(shop, "jane-42");
    const untagged = await get(shop.edge.port);
    expect(untagged.head).not.toMatch(/^forklane-/im);
    const control = await get(shop.edge.port, { fields: ["forklane-key: jane-42.base!"] });
    for (const seen of [untagged, control]) {
      expect(namesIn(JSON.parse(seen.body))).toEqual([
        "front",
        "cart",
        "pricing",
        "loyalty",
        "loyalty",
      ]);
    }
    const trace = await completeTrace(shop.control.client, control.fields["forklane-trace"]);
    expect(trace.complete).toBe(true);
    expect(new Set(trace.hops.map((hop) => hop.reason))).toEqual(new Set(["not-forked"]));
    expect(service.served).toBe(0);
  });

  test("can be sent by control itself, which says whether it went where it should", async () => {
    const shop = await startShop();
    await fork(shop, "jane-42");
    const probe = async (expected: Record<string, "fork" | "baseline" | "absent">) =>
      await shop.control.client.probe({
        entry: "shop/edge",
        key: "jane-42",
        request: { path: "/" },
        expect: expected,
      });
    const good = await probe({ "shop/pricing": "fork", "shop/cart": "baseline" });
    expect([good.matched, good.complete, good.hops.length, good.mismatches]).toEqual([
      true,
      true,
      6,
      [],
    ]);
    const bad = await probe({ "shop/cart": "fork" });
    expect(bad.matched).toBe(false);
    expect(bad.mismatches[0]).toMatchObject({
      workload: "shop/cart",
      expected: "fork",
      actual: "baseline",
    });
  });

  test("is not proved once a proxy on the way is gone", async () => {
    const shop = await startShop();
    await fork(shop, "jane-42");
    const seen = await get(shop.edge.port, { fields: ["forklane-key: jane-42!"] });
    const trace = await completeTrace(shop.control.client, seen.fields["forklane-trace"]);
    expect(trace.complete).toBe(true);
    await shop.pricing.drain();
    const refused = await get(shop.edge.port, { fields: ["forklane-key: jane-42!"] });
    expect(refused.status).toBe(502);
  });
});

describe("the life of a sandbox", () => {
  test("is followed to its end: once deleted, nothing reaches the fork any more", async () => {
    const shop = await startShop();
    const { client } = shop.control;
    const first = await fork(shop, "jane-42");
    await client.deleteSandbox("jane-42");
    const asked = async () => await get(shop.pricing.port, { tag: "jane-42!" });
    await expect
      .poll(async () => (await asked()).fields["forklane-fault"])
      .toBe("unknown-key; by=shop/pricing");
    expect((await get(shop.pricing.port, { tag: "jane-42" })).body).toContain('"pricing"');
    const served = first.service.served;
    expect((await asked()).status).toBe(424);
    expect(first.service.served).toBe(served);
  });

  test("of a route group: one key leads to the forks of all its members", async () => {
    const shop = await startShop();
    await fork(shop, "jane-42");
    await shop.control.client.putRouteGroup("both", {
      sandboxes: ["jane-42"],
      routingKey: "both-1",
    });
    await expect
      .poll(async () => (await get(shop.pricing.port, { tag: "both-1!" })).body)
      .toContain("pricing of jane-42");
  });
});
