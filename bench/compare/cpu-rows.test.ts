import { expect, test } from "vitest";
import { comparedCases, FULL_SIZES } from "./cases.ts";
import type { Contender } from "./contender.ts";
import { cpuRows, pairedRatio, renderCpuRows } from "./cpu-rows.ts";
import type { CpuSample } from "./measure-cpu.ts";

const FORKLANE: Contender = { name: "forklane", program: "forklane", command: "a" };
const BEFORE: Contender = { name: "before", program: "forklane", command: "b" };
const NGINX: Contender = { name: "nginx", program: "nginx", command: "" };

function sample(userMicros: number): CpuSample {
  const memory = { pssBytes: 2 ** 20, privateDirtyBytes: 2 ** 19 };
  return { userMicros, systemMicros: 10, perSecond: 1_000, ...memory };
}

function rowsOf(samples: Record<string, CpuSample[]>) {
  const [untagged] = comparedCases({ sandboxes: 10, ...FULL_SIZES });
  if (untagged === undefined) throw new Error("there is no case");
  return cpuRows(untagged, [FORKLANE, BEFORE, NGINX], new Map(Object.entries(samples)));
}

test("a round in which the machine was slow for all does not move a ratio", () => {
  expect(pairedRatio([20, 40, 22], [10, 20, 11])).toEqual({ ratio: 2, plusMinus: 0 });
});

test("the ratio is the median of the rounds, with half of what lies between their extremes", () => {
  expect(pairedRatio([8, 16, 24], [16, 16, 16])).toEqual({ ratio: 1, plusMinus: 0.5 });
});

test("each build of Forklane is compared with all others, a peer with nobody", () => {
  const rows = rowsOf({ forklane: [sample(20)], before: [sample(50)], nginx: [sample(10)] });
  expect(rows.map((row) => Object.keys(row.to))).toEqual([
    ["before", "nginx"],
    ["forklane", "nginx"],
    [],
  ]);
  expect(rows[0]?.to["before"]?.ratio).toBe(0.5);
  expect(rows[0]).toMatchObject({ totalMicros: 30, pssMb: 1, privateDirtyMb: 0.5 });
});

test("whoever was not measured in a case has no row in it", () => {
  const rows = rowsOf({ forklane: [sample(20)] });
  expect(rows.map((row) => row.proxy)).toEqual(["forklane"]);
  expect(renderCpuRows(rows)).not.toContain("to nginx");
});
