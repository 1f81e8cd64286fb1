import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { BenchError } from "../bench-error.ts";
import { cpuGrowth, parseStat, readCpuTime, readEndedChildrenTime } from "./proc-stat.ts";

const LINE =
  "4711 (nginx) S 17 4711 4711 0 -1 4194624 1234 0 0 0 250 1375 3 4 20 0 1 0 98765 1 2 3";

describe("parseStat", () => {
  test("reads parent, user and system time; a tick is 10 ms", () => {
    expect(parseStat(LINE)).toEqual({
      parent: 17,
      userMicros: 2_500_000,
      systemMicros: 13_750_000,
    });
  });

  test("a name with spaces and brackets moves no field", () => {
    expect(parseStat(LINE.replace("nginx", "a) S 1 (b"))).toEqual(parseStat(LINE));
  });

  test("anything else is refused", () => {
    expect(() => parseStat("")).toThrow(BenchError);
    expect(() => parseStat("4711 (nginx) S 17")).toThrow(BenchError);
  });
});

test("growth is what was used in between", () => {
  const growth = cpuGrowth(
    { userMicros: 10, systemMicros: 100 },
    { userMicros: 15, systemMicros: 130 },
  );
  expect(growth).toEqual({ userMicros: 5, systemMicros: 30 });
});

test.runIf(process.platform === "linux")("the CPU time of this very process grows", async () => {
  const before = await readCpuTime(process.pid);
  const used = process.cpuUsage();
  while (process.cpuUsage(used).user < 50_000);
  const growth = cpuGrowth(before, await readCpuTime(process.pid));
  expect(growth.userMicros + growth.systemMicros).toBeGreaterThan(20_000);
});

test.runIf(process.platform === "linux")(
  "the CPU time of children counts once they have ended",
  () => {
    const before = readEndedChildrenTime();
    const script =
      "const used = process.cpuUsage(); while (process.cpuUsage(used).user < 100_000);";
    execFileSync(process.execPath, ["-e", script]);
    const growth = cpuGrowth(before, readEndedChildrenTime());
    expect(growth.userMicros + growth.systemMicros).toBeGreaterThan(50_000);
  },
);

test.runIf(process.platform === "linux")("a process that is gone has no CPU time", async () => {
  await expect(readCpuTime(2 ** 22 + 1)).rejects.toThrow(BenchError);
});
