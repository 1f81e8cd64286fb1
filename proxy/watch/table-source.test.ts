import path from "node:path";
import { expect, test } from "vitest";
import { ConfigError, readProxyConfig } from "../config.ts";
import { startTableSource } from "./table-source.ts";
import { HandClock, QueuedHops, QueuedObservations } from "./watched-proxy.fake.ts";

test("a file that is no table is told by the setting that names it, as other wrong settings are", async () => {
  const table = path.join(import.meta.dirname, "absent.json");
  const words = { listen: "127.0.0.1:0", upstream: "127.0.0.1:9001", workload: "shop/cart", table };
  const config = readProxyConfig(words, {});
  if (!config.ok) throw config.error;
  const source = startTableSource(config.value, {
    listen: "127.0.0.1:8110",
    admin: null,
    clock: new HandClock(),
    log: { info: () => undefined, warn: () => undefined },
    hops: new QueuedHops(),
    observations: new QueuedObservations(),
    lastSeen: () => ({}),
    counters: () => ({}),
    onTable: () => undefined,
  });
  const refused = await source.start().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ConfigError);
  expect(refused).toMatchObject({
    setting: "--table",
    message: expect.stringMatching(/^--table: .*absent\.json/),
  });
});
