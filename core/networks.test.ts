import { BlockList } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { LOOPBACK_AND_PRIVATE, parseNetworks } from "./networks.ts";

function networks(...cidrs: string[]) {
  const parsed = parseNetworks(cidrs);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

test.each([
  ["127.0.0.1", true],
  ["::1", true],
  ["::ffff:10.1.2.3", true],
  ["172.31.255.255", true],
  ["172.32.0.0", false],
  ["169.254.169.254", false],
  ["fe80::1", false],
  ["8.8.8.8", false],
  ["::ffff:8.8.8.8", false],
  ["", false],
  ["localhost", false],
])("loopback and private ranges: %s is %s", (address, isIn) => {
  expect(networks(...LOOPBACK_AND_PRIVATE).includes(address)).toBe(isIn);
});

test("a bare address is a network of one", () => {
  const one = networks("10.0.0.1");
  expect([one.includes("10.0.0.1"), one.includes("10.0.0.2")]).toEqual([true, false]);
});

test("no networks include nobody", () => {
  expect(networks().includes("127.0.0.1")).toBe(false);
});

test.each([
  "10.0.0.0/33",
  "::1/129",
  "10.0.0/8",
  "example.com",
  "10.0.0.0/x",
  "",
  "fe80::1%eth0",
  "fe80::%1/64",
])("%j is no network, and the error names it", (cidr) => {
  const parsed = parseNetworks(["10.0.0.0/8", cidr]);
  expect(parsed.ok).toBe(false);
  if (!parsed.ok) expect(parsed.error).toContain(`"${cidr}"`);
});

test("an address is looked up once while it is remembered, of the last thousand or fewer", () => {
  const ten = networks("10.0.0.0/8");
  const check = vi.spyOn(BlockList.prototype, "check");
  onTestFinished(() => check.mockRestore());
  const askFor = (count: number) => {
    check.mockClear();
    for (let i = 0; i < count; i++) ten.includes(`10.0.${i >> 8}.${i & 255}`);
    return check.mock.calls.length;
  };
  expect([askFor(1_000), askFor(1_000)]).toEqual([1_000, 0]);
  // One more, and those before it are forgotten.
  expect([askFor(1_001), askFor(1)]).toEqual([1, 1]);
});

test("more addresses than are remembered get their answers all the same", () => {
  const ten = networks("10.0.0.0/8");
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 1_500; i++) {
      const rest = `${i >> 8}.${i & 255}`;
      expect(ten.includes(`10.0.${rest}`)).toBe(true);
      expect(ten.includes(`11.0.${rest}`)).toBe(false);
    }
  }
});
