import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CONTROL_LIMITS } from "./limits.ts";

test("the README has a row for each limit, with its value", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  for (const [name, value] of Object.entries(CONTROL_LIMITS)) {
    const cell = new RegExp(`^\\| \`${name}\` \\| ([^|]+) \\|`, "m").exec(readme)?.[1];
    expect(cell, `row of ${name}`).toBeDefined();
    expect(numberOf(cell ?? ""), `value of ${name}`).toBe(value);
  }
});

/** `1 MiB`, `10 min` or `20,000` as a number. */
function numberOf(cell: string): number {
  const [number = "", unit = ""] = cell.replaceAll(",", "").split(" ");
  const units = { KiB: 1_024, MiB: 1_048_576, ms: 1, s: 1_000, min: 60_000, d: 86_400_000 };
  return Number(number) * (units[unit as keyof typeof units] ?? 1);
}
