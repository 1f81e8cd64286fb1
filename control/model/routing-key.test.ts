import { expect, test } from "vitest";
import { isRoutingKey } from "../../core/routing-key.ts";
import { generateRoutingKey } from "./routing-key.ts";

test("a generated key is a routing key of 16 characters of 5 bits, and never the same", () => {
  const keys = Array.from({ length: 1_000 }, generateRoutingKey);
  expect(keys.every((key) => isRoutingKey(key) && key.length === 16)).toBe(true);
  expect(new Set(keys).size).toBe(1_000);
  expect(new Set(keys.join("")).size).toBe(32);
});
