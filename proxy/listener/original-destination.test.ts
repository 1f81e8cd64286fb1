import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { interceptedBaseline, OwnAddresses } from "./original-destination.ts";

describe("an inbound connection is delivered", () => {
  test.each([
    ["127.0.0.1", 8080],
    ["::1", 8080],
  ])("to this machine: %s", (address, port) => {
    expect(new OwnAddresses([19_471]).mayServe({ address, port }, 0)).toBe(true);
  });

  test.each([
    ["the proxy's own port", "127.0.0.1", 19_471],
    ["no port", "127.0.0.1", 0],
    ["metadata", "169.254.169.254", 80],
    ["a neighbour", "fe80::1", 80],
    ["another machine", "203.0.113.7", 80],
    ["another machine, IPv6", "2001:db8::7", 80],
  ])("never to %s", (_what, address, port) => {
    expect(new OwnAddresses([19_471]).mayServe({ address, port }, 0)).toBe(false);
  });
});

test("the machine is asked for its addresses once a second at most, whoever dials a wrong one", () => {
  const asked = vi.spyOn(os, "networkInterfaces");
  syncBuiltinESMExports();
  onTestFinished(() => {
    asked.mockRestore();
    syncBuiltinESMExports();
  });
  const own = new OwnAddresses([19_471]);
  const counts = [0, 999, 1_000, 1_999].map((nowMs) => {
    own.mayServe({ address: "203.0.113.7", port: 80 }, nowMs);
    return asked.mock.calls.length;
  });
  expect(counts).toEqual([1, 1, 2, 2]);
});

describe("a call", () => {
  const own = new OwnAddresses([19_471, 19_472]);

  test.each([
    ["anywhere", "127.0.0.1", "203.0.113.7", 443],
    ["to this machine", "::1", "127.0.0.1", 8080],
    ["of a mapped address", "::ffff:127.0.0.1", "10.0.0.5", 80],
    ["to another machine's port of ours", "127.0.0.1", "10.0.0.5", 19_471],
  ])("of this machine goes %s", (_what, from, address, port) => {
    expect(own.mayCall({ address, port }, from, 0)).toBe(true);
  });

  test.each([
    ["of another machine", "203.0.113.7", "10.0.0.5", 80],
    ["of nobody", "", "10.0.0.5", 80],
    ["to the proxy itself", "127.0.0.1", "127.0.0.1", 19_472],
    ["to its other listener", "127.0.0.1", "::1", 19_471],
    ["to metadata", "127.0.0.1", "169.254.169.254", 80],
    ["to metadata of Azure", "127.0.0.1", "168.63.129.16", 80],
    ["to metadata of AWS over IPv6", "::1", "fd00:ec2::254", 80],
    ["to no port", "127.0.0.1", "10.0.0.5", 0],
  ])("%s goes nowhere", (_what, from, address, port) => {
    expect(own.mayCall({ address, port }, from, 0)).toBe(false);
  });
});

describe("the baseline of an intercepted connection is", () => {
  test.each([
    ["as dialled", { host: "original", port: 0 }, "10.0.0.5", "10.0.0.5:8080"],
    ["as dialled, IPv6", { host: "original", port: 0 }, "fd00::5", "[fd00::5]:8080"],
    ["the dialled port on loopback", { host: "127.0.0.1", port: 0 }, "10.0.0.5", "127.0.0.1:8080"],
    ["one port whatever was dialled", { host: "::1", port: 90 }, "10.0.0.5", "[::1]:90"],
  ])("%s", (_what, upstream, address, baseline) => {
    expect(interceptedBaseline(upstream, { address, port: 8080 })).toBe(baseline);
  });
});
