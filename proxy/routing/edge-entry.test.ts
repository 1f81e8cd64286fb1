import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyFromHost, keysFromCookie } from "./edge-entry.ts";
import { parseTagValue, parseTagValues } from "./tag.ts";

describe("a key in a host name", () => {
  test.each([
    ["jane-42--shop.example.com", "jane-42", "shop.example.com"],
    ["jane-42--shop.example.com:8443", "jane-42", "shop.example.com:8443"],
    ["jane-42--shop:8080", "jane-42", "shop:8080"],
    ["Jane-42--Shop.Example.com", "jane-42", "Shop.Example.com"],
    ["jane-42--a--b.example.com", null, null],
    ["jane-42--shop.a--b.example.com", "jane-42", "shop.a--b.example.com"],
  ])("%s", (host, key, rest) => {
    expect(keyFromHost(host)).toEqual(key === null ? null : { key, host: rest });
  });

  test.each([
    "",
    "shop.example.com",
    "shop.a--b.example.com",
    "--shop.example.com",
    "jane-42--.example.com",
    "jane-42--",
    "jane-42---shop.example.com",
    "ab--shop.example.com",
    "jane_42--shop.example.com",
    "xn--bcher-kva.example.com",
    "127.0.0.1:8080",
    "[::1]:8080",
    "[jane-42--::1]",
  ])("%j has none", (host) => {
    expect(keyFromHost(host)).toBeNull();
  });
});

describe("a tag in the cookie", () => {
  test.each([
    ["forklane-key=jane-42", "jane-42"],
    ["a=1; forklane-key=jane-42~pr-118!; b=2", "jane-42~pr-118!"],
    ["a=1;forklane-key=jane-42%21", "jane-42!"],
    ['forklane-key="jane-42"', "jane-42"],
    ["forklane-key=jane-42; forklane-key=pr-118", "jane-42", "pr-118"],
    ["forklane-key=; forklane-key=pr-118!", "pr-118!"],
    ["forklane-key="],
    ["xforklane-key=jane-42"],
    ["a=forklane-key=jane-42"],
    [""],
  ])("%j", (field, ...expected) => {
    expect(keysFromCookie(field)).toEqual(expected);
  });

  test("one that cannot be read stays one that cannot be read, and strict", () => {
    expect(keysFromCookie("forklane-key=a,b=c")).toEqual(["a%2Cb%3Dc"]);
    expect(parseTagValues(keysFromCookie("forklane-key=a,b!"))).toMatchObject({
      kind: "unreadable",
      strict: true,
    });
  });

  test("is safe in a header, whatever the cookie is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        for (const key of keysFromCookie(`forklane-key=${value}`)) {
          expect(key).toMatch(/^[!-+\--:<-~]+$/);
        }
      }),
    );
  });
});

test("reading a host is total", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."ab-.:J[]") }), (host) => {
      const entry = keyFromHost(host);
      if (entry === null) return;
      expect(parseTagValue(entry.key).kind).toBe("keys");
      expect(`${entry.key}--${entry.host}`.toLowerCase()).toBe(host.toLowerCase());
    }),
  );
});
