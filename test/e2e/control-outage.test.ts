import { expect, onTestFinished, test } from "vitest";
import { readProxyConfig } from "../../proxy/config.ts";
import { createProxy } from "../../proxy/proxy.ts";
import { get } from "../harness/client.ts";
import { ControlProcess } from "../harness/control-process.ts";
import { freePort } from "../harness/free-port.ts";
import { response, startUpstream, type Upstream } from "../harness/upstream.ts";

/** A proxy of shop/cart that takes its table from control. */
async function startCart(url: string, baseline: Upstream): Promise<number> {
  const flags = {
    listen: "127.0.0.1:0",
    upstream: baseline.at,
    workload: "shop/cart",
    control: url,
    "access-log": "off",
  };
  const config = readProxyConfig(flags, {});
  if (!config.ok) throw new Error(config.error.message);
  const limits = { ...config.value.limits, drainAcceptMs: 0, drainMs: 200 };
  const proxy = await createProxy({ ...config.value, limits }, { waitForTable: false });
  onTestFinished(() => proxy.drain());
  return proxy.listen.port;
}

/** Asks again and again, tagged and untagged in turn, until told to stop; resolves to what went wrong. */
function load(port: number): { stop(): Promise<string[]>; readonly sent: number } {
  const wrong: string[] = [];
  let isStopped = false;
  let sent = 0;
  const run = async (tag: string | undefined, body: string): Promise<void> => {
    while (!isStopped) {
      sent++;
      const seen = await get(port, tag === undefined ? {} : { tag }).catch((error) => error);
      if (seen.status !== 200 || seen.body !== body) wrong.push(`${tag}: ${seen.text ?? seen}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const all = Promise.all([
    run(undefined, "baseline"),
    run("jane-42!", "jane"),
    run("jane-42", "jane"),
  ]);
  return {
    get sent() {
      return sent;
    },
    async stop() {
      isStopped = true;
      await all;
      return wrong;
    },
  };
}

test("control is killed and started again under load: no request fails, and changes arrive again", async () => {
  const control = await ControlProcess.start(await freePort());
  const baseline = await startUpstream(response("baseline"));
  const jane = await startUpstream(response("jane"));
  const joe = await startUpstream(response("joe"));
  const port = await startCart(control.url, baseline);
  await control.client.putSandbox("jane-42", {
    routingKey: "jane-42",
    forks: [{ workload: "shop/cart", endpoints: [jane.at] }],
  });
  expect((await control.client.getSandbox("jane-42", { waitReady: "10s" })).status.ready).toBe(
    true,
  );

  const traffic = load(port);
  await expect.poll(() => traffic.sent, { timeout: 10_000 }).toBeGreaterThan(100);
  await control.kill();
  const sentBefore = traffic.sent;
  await expect.poll(() => traffic.sent, { timeout: 10_000 }).toBeGreaterThan(sentBefore + 500);
  await control.startAgain();
  await control.client.putSandbox("joe-7", {
    routingKey: "joe-7",
    forks: [{ workload: "shop/cart", endpoints: [joe.at] }],
  });
  const ready = await control.client.getSandbox("joe-7", { waitReady: "15s" });
  expect(ready.status.ready).toBe(true);
  expect((await get(port, { tag: "joe-7!" })).body).toBe("joe");
  expect(await traffic.stop()).toEqual([]);
}, 60_000);

test("control is not there at the start: everybody gets the baseline, and it is tried again", async () => {
  const controlPort = await freePort();
  const baseline = await startUpstream(response("baseline"));
  const jane = await startUpstream(response("jane"));
  const port = await startCart(`http://127.0.0.1:${controlPort}`, baseline);
  const before = await get(port, { tag: "jane-42" });
  expect([before.body, before.fields["forklane-decision"]]).toEqual([
    "baseline",
    "shop/cart; baseline; key=jane-42; reason=table-unknown; rev=none",
  ]);
  const control = await ControlProcess.start(controlPort);
  await control.client.putSandbox("jane-42", {
    routingKey: "jane-42",
    forks: [{ workload: "shop/cart", endpoints: [jane.at] }],
  });
  expect((await control.client.getSandbox("jane-42", { waitReady: "15s" })).status.ready).toBe(
    true,
  );
  expect((await get(port, { tag: "jane-42!" })).body).toBe("jane");
}, 60_000);
