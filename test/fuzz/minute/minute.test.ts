import { expect, test } from "vitest";
import { fuzz } from "../fuzzer.ts";
import { findingText, rulesText, triedText } from "../report.ts";
import { seedOfToday } from "../seed.ts";

/** It is over after a minute, or after as many inputs as a fast machine tries in one. */
const BUDGET_MS = 60_000;
const INPUTS_MAX = 3_000_000;
/** A twentieth of what a busy machine comes to; with less it has not looked. */
const INPUTS_MIN = 50_000;

/** Given where a run is to be repeated; else another one each day. */
const seed = Number(process.env["FORKLANE_FUZZ_SEED"] ?? seedOfToday());

test("a minute of random inputs is read alike by ours, the plain reference and Node's parser", () => {
  expect(Number.isSafeInteger(seed), "FORKLANE_FUZZ_SEED is a whole number").toBe(true);
  const endMs = performance.now() + BUDGET_MS;
  const run = fuzz(seed, ({ inputs }) => inputs >= INPUTS_MAX || performance.now() >= endMs);
  say(`seed ${seed} (FORKLANE_FUZZ_SEED=${seed} repeats it)`);
  say(`differences from Node's parser, all explained:\n${rulesText(run)}`);
  say(triedText(run.tried));
  expect(run.findings.map((found) => findingText(found.seed, found.small))).toEqual([]);
  expect(run.tried.inputs).toBeGreaterThanOrEqual(INPUTS_MIN);
});

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
