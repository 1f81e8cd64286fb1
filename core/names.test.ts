import { expect, test } from "vitest";
import { isRoutingKey } from "./routing-key.ts";
import { isDnsLabel, isWorkloadName } from "./workload.ts";

test.each([
  ["jane-42", true],
  ["abc", true],
  ["a".repeat(40), true],
  ["ab", false],
  ["a".repeat(41), false],
  ["Jane", false],
  ["-jane", false],
  ["jane-", false],
  ["ja--ne", false],
  ["ja.ne", false],
  ["jane\n", false],
])("%j as a routing key: %s", (text, isKey) => {
  expect(isRoutingKey(text)).toBe(isKey);
});

test.each([
  ["shop/cart", true],
  [`${"a".repeat(63)}/b`, true],
  [`${"a".repeat(64)}/b`, false],
  ["cart", false],
  ["shop/", false],
  ["/cart", false],
  ["shop/cart/x", false],
  ["Shop/cart", false],
])("%j as a workload: %s", (text, isName) => {
  expect(isWorkloadName(text)).toBe(isName);
});

test("a DNS label is lower case, of 1 to 63 characters, and not a dash at its ends", () => {
  expect(["a", "a-1", "9"].every(isDnsLabel)).toBe(true);
  expect(["", "-a", "a-", "a.b", "A", "a".repeat(64)].some(isDnsLabel)).toBe(false);
});
