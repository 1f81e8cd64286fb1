import { expect, test } from "vitest";
import type { CpuRow } from "./cpu-rows.ts";
import { plotCpu } from "./plot.ts";

function row(name: string, proxy: string, totalMicros: number): CpuRow {
  const figures = { userMicros: 0, systemMicros: 0, plusMinus: 0, perSecond: 0, pssMb: 0 };
  const rest = { sandboxes: 1, privateDirtyMb: 0, to: {}, totals: [] };
  return { case: name, proxy, totalMicros, ...figures, ...rest };
}

const ROWS = [
  row("tagged", "forklane", 20),
  row("tagged", "nginx", 10),
  row("tagged", "envoy", 900),
  row("telemetry-off", "forklane", 15),
];

test("bars are as long as their figures, but a cliff is cut and says so", () => {
  const bars = [
    ...plotCpu(ROWS, "").matchAll(/<rect x="130" y="\d+" width="([\d.]+)" height="9"/g),
  ];
  const [own = 0, nginx = 0, envoy = 0] = bars
    .map((bar) => Number(bar[1]))
    .filter((width) => width !== 9);
  expect(own / nginx).toBeCloseTo(2, 1);
  expect(envoy).toBe(480);
  expect(plotCpu(ROWS, "")).toContain("→ 900");
});

test("what only Forklane has is not drawn", () => {
  expect(plotCpu(ROWS, "")).not.toContain("telemetry-off");
});

test("text from the machine is no markup", () => {
  expect(plotCpu(ROWS, 'a <b> & "c"')).toContain("a &lt;b&gt; &amp; &quot;c&quot;");
});
