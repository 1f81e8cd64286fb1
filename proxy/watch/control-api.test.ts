import { once } from "node:events";
import http, { type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ControlApi } from "./control-api.ts";

let server: http.Server;
let api: ControlApi;

beforeEach(async () => {
  server = http.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  api = new ControlApi({ control: `http://127.0.0.1:${port}`, tokenFile: null });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
  api.close();
  server.close();
  server.closeAllConnections();
});

const post = () => api.post("/v1/hops", "application/x-ndjson", "{}");
const watch = () => api.openStream("/v1/watch", null, new AbortController().signal);

it.each([
  ["a POST", post],
  ["a watch", watch],
])("%s that is not answered is given up after five seconds", async (_, ask) => {
  const asked = once(server, "request");
  const answer = ask();
  const [, response] = (await asked) as [unknown, ServerResponse];
  vi.advanceTimersByTime(4_999);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1);
  expect(await answer).toEqual({ ok: false, error: { status: 0, why: "no answer in time" } });
  await expect.poll(() => response.destroyed).toBe(true);
});
