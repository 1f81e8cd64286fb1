import { expect, test } from "vitest";
import { betterPeer, type CpuRow } from "./cpu.ts";

function row(proxy: string, traffic: CpuRow["traffic"], totalMicros: number): CpuRow {
  return { proxy, traffic, totalMicros, userMicros: 0, systemMicros: 0, spread: 0, perSecond: 0 };
}

const ROWS = [
  row("nginx", "untagged", 17),
  row("haproxy", "untagged", 19),
  row("nginx", "tagged", 22),
  row("haproxy", "tagged", 20),
  row("forklane", "untagged", 10),
];

test("the better peer is the cheaper of the others under the same traffic, never ourselves", () => {
  expect(betterPeer(ROWS, "untagged").proxy).toBe("nginx");
  expect(betterPeer(ROWS, "tagged").proxy).toBe("haproxy");
});

test("without a peer there is no ratio", () => {
  expect(() => betterPeer(ROWS.slice(4), "untagged")).toThrow("no peer was measured");
});
