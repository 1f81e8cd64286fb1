import { expect, test } from "vitest";
import { fuzz } from "../fuzzer.ts";
import { findingText, rulesText, triedText } from "../report.ts";

/**
 * The first of the inputs; FORKLANE_FUZZ_SEED chooses others. Fixed, as their number is: a run tries
 * what was tried before the commit, on any machine, and other inputs are for `npm run fuzz`.
 */
const SEED = Number(process.env["FORKLANE_FUZZ_SEED"] ?? 500_000_000);

/** In parts of some seconds each, about a minute in all. */
const PARTS = 24;
const INPUTS = 30_000;

const STARTS = Array.from({ length: PARTS }, (_, part) => SEED + part * INPUTS);

test.each(STARTS)(
  "the random inputs from seed %i on are read alike by ours, the plain reference and Node's parser",
  (seed) => {
    expect(Number.isSafeInteger(seed), "FORKLANE_FUZZ_SEED is a whole number").toBe(true);
    const run = fuzz(seed, ({ inputs }) => inputs >= INPUTS);
    say(`seed ${seed}: differences from Node's parser, all explained:\n${rulesText(run)}`);
    say(triedText(run.tried));
    expect(run.findings.map((found) => findingText(found.seed, found.small))).toEqual([]);
    expect(run.tried.inputs).toBe(INPUTS);
  },
);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
