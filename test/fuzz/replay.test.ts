import { expect, test, vi } from "vitest";
import { readText } from "../repository.ts";
import { check, type Finding } from "./check.ts";
import { fuzz } from "./fuzzer.ts";
import type { Input } from "./input.ts";
import { findingText, triedText } from "./report.ts";

/** Nothing here is about time: a busy machine takes some. */
vi.setConfig({ testTimeout: 120_000 });

/** Random inputs of a fixed seed: as many as a few seconds of a busy machine allow. */
const INPUTS = 20_000;
const SEED = 7;

interface Kept extends Input {
  /** What was found with it, or why it is worth a look each time. */
  readonly why: string;
}

const KEPT: readonly Kept[] = JSON.parse(readText("test/fuzz/kept.json"));

test.each(KEPT)("kept: $why", (kept) => {
  const findings = cutsToTry(kept).map((cuts) => check(kept, { cuts, isPassedOn: true }));
  expect(findings.flatMap(textOf)).toEqual([]);
});

/** In one piece, and messages in two of any length, and byte by byte. */
function cutsToTry({ kind, text }: Input): readonly (readonly number[])[] {
  if (kind === "fields" || kind === "tables") return [[]];
  const each = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
  return [[], ...each.map((cut) => [cut]), each];
}

function textOf(found: Finding | null): string[] {
  return found === null ? [] : [findingText(null, found)];
}

test("random inputs of one seed are read by all alike, however they arrive", () => {
  const { tried, findings } = fuzz(SEED, ({ inputs }) => inputs >= INPUTS);
  expect(findings.map(({ seed, small }) => findingText(seed, small))).toEqual([]);
  expect(triedText(tried)).toMatch(/^inputs tried: 20,000 \(/);
});
