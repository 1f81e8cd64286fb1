import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { chooseDemoPorts, DEMO_PORTS_COUNT, type DemoPorts } from "./ports.ts";

const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((each) => new Promise((done) => each.close(done))));
});

test("every port is another one, and free", async () => {
  const ports = flat(await chooseDemoPorts(null));
  expect(new Set(ports).size).toBe(DEMO_PORTS_COUNT);
  for (const port of ports) await listen(port);
});

test("a default port that is taken gives way to a free one", async () => {
  const first = await chooseDemoPorts(null);
  await listen(first.edge);
  expect((await chooseDemoPorts(null)).edge).not.toBe(first.edge);
});

test("a port that was asked for and is taken is named", async () => {
  const base = await freeBase();
  await listen(base + 3);
  await expect(chooseDemoPorts(base)).rejects.toMatchObject({
    exitCode: 2,
    problem: { code: "port-in-use", detail: expect.stringContaining(String(base + 3)) },
  });
});

test("ports that were asked for follow each other", async () => {
  const base = await freeBase();
  const ports = flat(await chooseDemoPorts(base)).sort((a, b) => a - b);
  expect(ports).toEqual(Array.from({ length: DEMO_PORTS_COUNT }, (_, i) => base + i));
});

/** Finds a row of free ports. */
async function freeBase(): Promise<number> {
  for (let base = 21_000; base < 60_000; base += 100) {
    const found = await chooseDemoPorts(base).then(
      () => true,
      () => false,
    );
    if (found) return base;
  }
  throw new Error("no free ports on this machine");
}

function flat(ports: DemoPorts): number[] {
  return [
    ports.control,
    ports.edge,
    ports.forkProxy,
    ports.fork,
    ...Object.values(ports.proxies),
    ...Object.values(ports.services),
  ];
}

function listen(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    servers.push(server);
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
