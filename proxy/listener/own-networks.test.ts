import { expect, test } from "vitest";
import { ownIpv4Routes, ownIpv6Routes, readOwnNetworks } from "./own-networks.ts";

test("addresses of this machine are its own, and others are not", () => {
  const own = readOwnNetworks();
  expect(["127.0.0.1", "::1"].map((it) => own.includes(it))).toEqual([true, true]);
  expect(["203.0.113.7", "2001:db8::7"].map((it) => own.includes(it))).toEqual([false, false]);
});

test("an IPv4 address is this machine's also by a route only", () => {
  const trie = `Main:
  +-- 0.0.0.0/0 2 0 2
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.0.0/4 2 0 2
        |-- 198.51.100.0
           /24 host LOCAL
        |-- 203.0.113.9
           /32 host LOCAL
        |-- 203.0.113.255
           /32 link BROADCAST
Id 100:
  |-- 0.0.0.0
     /0 host LOCAL
Local:
     |-- 203.0.113.9
        /24 link UNICAST
        /32 host LOCAL
`;
  expect(ownIpv4Routes(trie)).toEqual(["198.51.100.0/24", "203.0.113.9/32"]);
});

test("so is an IPv6 address", () => {
  const none = "0".repeat(32);
  const route = (address: string, bits: string, flags: string) =>
    `${address.padEnd(32, "0")} ${bits} ${none} 00 ${none} 00000400 00000001 00000000 ${flags}       lo`;
  const table = [
    route("", "00", "00200200"),
    route("20010db8000000000000000000000009", "80", "80000001"),
    route("20010db80001", "30", "80000001"),
    route("fd00", "40", "00000001"),
    "",
  ].join("\n");
  expect(ownIpv6Routes(table)).toEqual([
    "2001:0db8:0000:0000:0000:0000:0000:0009/128",
    "2001:0db8:0001:0000:0000:0000:0000:0000/48",
  ]);
});

test.each(["", "nonsense", "Local:\n /x host LOCAL"])("nothing is read from %j", (text) => {
  expect([ownIpv4Routes(text), ownIpv6Routes(text)]).toEqual([[], []]);
});
