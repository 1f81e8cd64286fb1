import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ControlClient } from "../control/client/client.ts";
import { notReady, waitReady } from "./wait-ready.ts";

test("a long wait is asked for a minute at a time, which is what control takes", async () => {
  const asked: (string | null)[] = [];
  const server = createServer(({ url = "/" }, response) => {
    asked.push(new URL(url, "http://control").searchParams.get("timeout"));
    const body = { name: "jane", status: { ready: asked.length === 2 } };
    response.setHeader("content-type", "application/json").end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new ControlClient({ url: `http://127.0.0.1:${port}` });
  onTestFinished(async () => {
    await client.close();
    server.close();
  });
  await waitReady(client, "jane", "1h");
  expect(asked).toEqual(["60000ms", "60000ms"]);
});

test("not being ready is a failure that names each condition that does not hold", () => {
  const error = notReady(
    {
      name: "jane",
      routingKey: "jane-42",
      forks: [],
      onUnavailable: "fail",
      labels: {},
      status: {
        ready: false,
        conditions: [
          { type: "Available", status: "True", reason: "Accepted", message: "" },
          { type: "Applied", status: "False", reason: "NoProxy", message: "no proxy of shop/cart" },
        ],
        unconfirmed: [],
        expiresAt: null,
      },
    },
    "30s",
  );
  expect(error.exitCode).toBe(1);
  expect(error.message).toBe(
    "jane is not ready after 30s: Applied is NoProxy: no proxy of shop/cart",
  );
  expect(error.problem["sandbox"]).toMatchObject({ name: "jane" });
});
