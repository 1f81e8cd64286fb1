/**
 * The long run: `npm run fuzz -- --inputs 10000000 --seed 7`; one input again: `-- --input SEED`.
 *
 * Exits 1 if anything was found, 2 if the arguments are wrong.
 */
import { parseArgs } from "node:util";
import { check } from "./check.ts";
import { extrasOf, fuzz, type Tried } from "./fuzzer.ts";
import { generate } from "./generate.ts";
import { findingText, inputText, rulesText, triedText } from "./report.ts";
import { seedOfToday } from "./seed.ts";

const PROGRESS_MS = 10_000;

function main(): number {
  const asked = readArguments();
  if (typeof asked === "string") {
    say(
      `${asked}\nusage: npm run fuzz -- [--inputs 10000000] [--seed 7], or --input SEED for one again`,
    );
    return 2;
  }
  const { input, inputs, seed } = asked;
  return input === null ? run(inputs, seed) : repeat(input);
}

interface Asked {
  readonly inputs: number;
  readonly seed: number;
  /** The one input to try again; null for a run. */
  readonly input: number | null;
}

/** What was asked for, or what is wrong with it. */
function readArguments(): Asked | string {
  const options = {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(seedOfToday()) },
    input: { type: "string" },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const input = values.input === undefined ? null : wholeNumber("input", values.input);
    const inputs = wholeNumber("inputs", values.inputs);
    if (inputs < 1) throw new Error("--inputs: at least 1");
    return { input, inputs, seed: wholeNumber("seed", values.seed) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function wholeNumber(name: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new Error(`--${name}: ${text} is no whole number`);
  return value;
}

function run(inputs: number, seed: number): number {
  const startMs = performance.now();
  let saidMs = startMs;
  say(`seed ${seed}`);
  const result = fuzz(seed, (tried) => {
    const nowMs = performance.now();
    if (nowMs - saidMs >= PROGRESS_MS) {
      saidMs = nowMs;
      say(progressText(tried, nowMs - startMs));
    }
    return tried.inputs >= inputs;
  });
  say(`differences from Node's parser, all explained:\n${rulesText(result)}`);
  for (const { seed: inputSeed, small } of result.findings) say(findingText(inputSeed, small));
  say(progressText(result.tried, performance.now() - startMs));
  say(`findings: ${result.findings.length}`);
  return result.findings.length === 0 ? 0 : 1;
}

function repeat(seed: number): number {
  const input = generate(seed);
  say(`input ${inputText(input)}`);
  const found = check(input, extrasOf(seed, input));
  say(found === null ? "nothing was found" : findingText(seed, found));
  return found === null ? 0 : 1;
}

function progressText(tried: Tried, spentMs: number): string {
  const seconds = spentMs / 1_000;
  return `${triedText(tried)}, ${seconds.toFixed(0)} s, ${(tried.inputs / seconds).toFixed(0)} a second`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.exitCode = main();
