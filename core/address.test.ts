import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "./address.ts";

test.each([
  ["127.0.0.1:8080", "127.0.0.1", 8080],
  ["[::1]:0", "::1", 0],
  ["cart.shop.svc:65535", "cart.shop.svc", 65535],
])("%s is an address, and is written as it was read", (text, host, port) => {
  const parsed = parseAddress(text);
  expect(parsed).toEqual({ ok: true, value: { host, port } });
  if (parsed.ok) expect(formatAddress(parsed.value)).toBe(text);
});

test.each(["", "8080", ":8080", "a:", "a:65536", "a:-1", "::1:80", "a b:80", "a/b:80", "u@a:80"])(
  "%j is none, and the error names it",
  (text) => {
    const parsed = parseAddress(text);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.error).toContain(`"${text}"`);
  },
);

test("any text is read or refused, never thrown at", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseAddress(text)));
});
