import { connect, createServer, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { readProxyConfig } from "../../proxy/config.ts";
import type { Limits } from "../../proxy/limits.ts";
import { createProxy } from "../../proxy/proxy.ts";
import { Connection, get } from "../harness/client.ts";
import { startControl } from "../harness/control.ts";
import { freePort } from "../harness/free-port.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** A way to control that is closed until `open`: proxies connect, and are not answered. */
async function startDoor(controlUrl: string) {
  const waiting: Socket[] = [];
  let isOpen = false;
  const { hostname, port } = new URL(controlUrl);
  const carry = (near: Socket): void => {
    const far = connect(Number(port), hostname);
    near.pipe(far).pipe(near);
    far.on("error", () => near.destroy());
  };
  const server: Server = createServer((near) => {
    near.on("error", () => undefined);
    if (isOpen) carry(near);
    else waiting.push(near);
  });
  const doorPort = await freePort();
  await new Promise<void>((resolve) => server.listen(doorPort, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return {
    url: `http://127.0.0.1:${doorPort}`,
    waiting,
    open(): void {
      isOpen = true;
      for (const near of waiting) carry(near);
    },
  };
}

/** A proxy that starts while control does not answer, with a sandbox that control knows. */
async function startEarly(wished: Partial<Limits> = {}, stop?: Promise<void>) {
  const control = await startControl();
  const baseline = await startUpstream(response("baseline"));
  const jane = await startUpstream(response("jane"));
  await control.client.putSandbox("jane-42", {
    routingKey: "jane-42",
    forks: [{ workload: "shop/cart", endpoints: [jane.at] }],
  });
  const door = await startDoor(control.url);
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const flags = { listen, upstream: baseline.at, workload: "shop/cart", control: door.url };
  const config = readProxyConfig({ ...flags, "access-log": "off" }, {});
  if (!config.ok) throw new Error(config.error.message);
  const limits = { ...config.value.limits, drainAcceptMs: 0, drainMs: 200, ...wished };
  const starting = createProxy({ ...config.value, limits }, { ...(stop && { stop }) });
  onTestFinished(async () => await (await starting).drain());
  await expect.poll(() => door.waiting.length).toBeGreaterThan(0);
  return { door, port, baseline, starting };
}

test("requests that come before the first table wait for it, and none goes to the baseline by mistake", async () => {
  const { door, port, baseline } = await startEarly();
  const connections = await Promise.all([1, 2, 3].map(() => Connection.open(port)));
  for (const connection of connections) {
    connection.write("GET / HTTP/1.1\r\nhost: a\r\nbaggage: sandbox=jane-42\r\n\r\n");
  }
  const gone = await Connection.open(port);
  gone.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  gone.socket.resetAndDestroy();
  door.open();
  const answers = await Promise.all(connections.map((connection) => connection.response()));
  expect(answers.map(({ status, body }) => [status, body])).toEqual(
    connections.map(() => [200, "jane"]),
  );
  expect(baseline.requests).toHaveLength(0);
  for (const connection of connections) connection.close();
  expect((await get(port)).body).toBe("baseline");
});

test("as many wait as the limit of connections says; others are refused at once", async () => {
  const { door, port } = await startEarly({ downstreamConnectionsMax: 2 });
  const waiting = await Promise.all([1, 2].map(() => Connection.open(port)));
  for (const connection of waiting) connection.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  const refused = await get(port);
  expect(refused.fields["forklane-fault"]).toMatch(/^connection-limit/);
  door.open();
  for (const connection of waiting) expect((await connection.response()).status).toBe(200);
  for (const connection of waiting) connection.close();
});

test("a stop before the first table refuses those who wait, at once, and serves nobody", async () => {
  const stop = Promise.withResolvers<void>();
  const limits = { drainAcceptMs: 3_600_000, drainMs: 3_600_000 };
  const { port, baseline, starting } = await startEarly(limits, stop.promise);
  const waiting = await Promise.all([1, 2, 3].map(() => Connection.open(port)));
  for (const connection of waiting) connection.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  const gone = await Connection.open(port);
  gone.socket.resetAndDestroy();
  stop.resolve();
  const drained = (await starting).drain();
  for (const connection of waiting) {
    const { status, fields } = await connection.response();
    expect([status, fields["forklane-fault"], fields["connection"]]).toEqual([
      503,
      "draining; by=shop/cart",
      "close",
    ]);
    connection.close();
  }
  await expect(Connection.open(port)).rejects.toThrow("ECONNREFUSED");
  await drained;
  expect(baseline.requests).toHaveLength(0);
});
