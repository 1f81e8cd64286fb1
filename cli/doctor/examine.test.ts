import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { CONTROL_LIMITS } from "../../control/model/limits.ts";
import { startControl } from "../../test/harness/control.ts";
import { examine } from "./examine.ts";

const EXAMINATION = {
  entry: null,
  tag: null,
  tagAs: "baggage",
  probes: 1,
  observeMs: 0,
  timeoutMs: 1_000,
} as const;

test("an examination observes for five minutes at the longest, which is what control takes", async () => {
  const { promise: asked, resolve } = Promise.withResolvers<string>();
  const server = createServer(async (request, response) => {
    resolve(await text(request));
    response.writeHead(500).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const control = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const long = { ...EXAMINATION, control, observeMs: 60 * 60_000 };
  await expect(examine(long)).rejects.toThrow();
  expect(JSON.parse(await asked)).toEqual({ kind: "propagation", duration: "300000ms" });
});

test("an examination that fails leaves no run open, and says why it failed", async () => {
  const control = await startControl();
  const examination = { ...EXAMINATION, control: control.url };
  for (let i = 0; i < CONTROL_LIMITS.runsOpenMax; i++) {
    await expect(examine(examination)).rejects.toMatchObject({ problem: { code: "no-proxies" } });
    await control.client.createRun({ kind: "propagation", duration: "1m" });
  }
});
