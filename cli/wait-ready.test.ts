import { expect, test } from "vitest";
import { notReady } from "./wait-ready.ts";

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
