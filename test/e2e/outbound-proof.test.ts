import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { formatAddress } from "../../core/address.ts";
import { readProxyConfig } from "../../proxy/config.ts";
import { createProxy, type RunningProxy } from "../../proxy/proxy.ts";
import { get } from "../harness/client.ts";
import { completeTrace, startControl, type TestControl } from "../harness/control.ts";
import { freePort } from "../harness/free-port.ts";
import { type ServiceAnswer, startService } from "../harness/service.ts";

/** Control, and services whose calls pass their own proxies, with a proxy at the callee and without. */

async function proxyOf(control: TestControl, flags: Readonly<Record<string, string>>) {
  const config = readProxyConfig(
    { listen: "127.0.0.1:0", control: control.url, "access-log": "off", ...flags },
    {},
  );
  if (!config.ok) throw new Error(config.error.message);
  const limits = { ...config.value.limits, drainAcceptMs: 0, drainMs: 200 };
  const proxy: RunningProxy = await createProxy({ ...config.value, limits });
  onTestFinished(() => proxy.drain());
  return { at: formatAddress(proxy.listen), port: proxy.listen.port };
}

/** Cart, whose one process takes both directions, calls pricing by the outbound listener's address. */
async function startShop(hasProxyAtCallee: boolean, service: typeof startService = startService) {
  const control = await startControl();
  const baseline = await startService("pricing");
  const pricing = hasProxyAtCallee
    ? await proxyOf(control, { upstream: baseline.at, workload: "shop/pricing" })
    : baseline;
  const calls = `127.0.0.1:${await freePort()}`;
  const cartService = await service("cart", [calls]);
  const folder = await mkdtemp(join(tmpdir(), "forklane-callees-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const callees = join(folder, "callees.json");
  const place = { hosts: [calls], baseline: pricing.at };
  await writeFile(callees, JSON.stringify({ "shop/pricing": place }));
  const cart = await proxyOf(control, {
    upstream: cartService.at,
    workload: "shop/cart",
    instance: "cart-1",
    "outbound-listen": calls,
    callees,
  });
  const forkService = await startService("fork");
  const fork = await proxyOf(control, {
    upstream: forkService.at,
    workload: "shop/pricing",
    sandbox: "jane-42",
  });
  await control.client.putSandbox("jane-42", {
    forks: [{ workload: "shop/pricing", endpoints: [fork.at] }],
    routingKey: "jane-42",
  });
  return { control, cart };
}

/** As startService, but what it calls with is the trace id alone. */
async function startForgetful(name: string, callees: readonly string[] = []) {
  const server = createServer(async (request, response) => {
    const traceparent = String(request.headers["traceparent"]);
    const answers = callees.map(async (at) => {
      const answer = await fetch(`http://${at}/`, { headers: { traceparent } });
      return (await answer.json()) as ServiceAnswer;
    });
    response.end(JSON.stringify({ name, calls: await Promise.all(answers) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { at: `127.0.0.1:${port}`, served: 0 };
}

describe("a call that passes its own proxy", () => {
  test("is one hop with the callee's, whose proxy decides; the sandbox waits for both", async () => {
    const { control, cart } = await startShop(true);
    const sandbox = await control.client.getSandbox("jane-42", { waitReady: "10s" });
    expect(sandbox.status.ready).toBe(true);
    const seen = await get(cart.port, { tag: "jane-42!" });
    expect(JSON.parse(seen.body).calls).toEqual([{ name: "fork", calls: [] }]);
    const trace = await completeTrace(control.client, seen.fields["forklane-trace"]);
    expect(trace.incomplete).toEqual([]);
    expect(trace.hops.map(({ depth, workload, outcome }) => [depth, workload, outcome])).toEqual([
      [0, "shop/cart", "baseline"],
      [1, "shop/pricing", "fork"],
    ]);
    expect(trace.hops[1]).toMatchObject({ parent: trace.hops[0]?.hop, confirmed: true });
  });

  test("is one hop also where the callee's baseline serves", async () => {
    const { control, cart } = await startShop(true);
    await control.client.putSandbox("mark-7", {
      forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:1"] }],
      routingKey: "mark-7",
      onUnavailable: "baseline",
    });
    const ask = async () => await get(cart.port, { tag: "mark-7!" });
    await expect.poll(async () => (await ask()).status).toBe(200);
    const trace = await completeTrace(control.client, (await ask()).fields["forklane-trace"]);
    expect(trace.incomplete).toEqual([]);
    expect(trace.hops).toMatchObject([
      { workload: "shop/cart", depth: 0, mode: "inbound" },
      { workload: "shop/pricing", depth: 1, mode: "inbound", reason: "not-forked" },
    ]);
  });

  test("whose service keeps the trace id and loses the tag is given it back, and control says so", async () => {
    const { control, cart } = await startShop(true, startForgetful);
    await control.client.getSandbox("jane-42", { waitReady: "10s" });
    const run = await control.client.createRun({ kind: "propagation", duration: "60s" });
    const traceparent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const seen = await get(cart.port, { tag: "jane-42!", fields: [traceparent] });
    expect(JSON.parse(seen.body).calls).toEqual([{ name: "fork", calls: [] }]);
    const root = seen.fields["forklane-trace"] ?? "";
    const trace = await completeTrace(control.client, root);
    expect(trace.incomplete).toEqual([]);
    expect(trace.hops).toMatchObject([
      { workload: "shop/cart", healed: null },
      { workload: "shop/pricing", tag: "jane-42!", healed: "affinity", parent: trace.hops[0]?.hop },
    ]);
    const verdict = await control.client.judgeRun(run.id, { roots: [root] });
    expect(verdict).toMatchObject({ verdict: "healthy", findings: [], requests: 1 });
    expect(verdict.notes).toEqual([expect.stringContaining("shop/cart loses the tag")]);
  });

  test("reaches the fork where the callee has no proxy, and that is no proxy of the callee", async () => {
    const { control, cart } = await startShop(false);
    await expect
      .poll(async () => JSON.parse((await get(cart.port, { tag: "jane-42" })).body).calls)
      .toEqual([{ name: "fork", calls: [] }]);
    const seen = await get(cart.port, { tag: "jane-42!" });
    const trace = await completeTrace(control.client, seen.fields["forklane-trace"]);
    expect(trace.hops).toMatchObject([
      { workload: "shop/cart", mode: "inbound", proxy: "cart-1" },
      { workload: "shop/pricing", mode: "outbound", proxy: "cart-1", confirmed: true },
    ]);
    const { conditions } = (await control.client.getSandbox("jane-42")).status;
    expect(conditions).toContainEqual(expect.objectContaining({ reason: "NoProxy" }));
  });
});
