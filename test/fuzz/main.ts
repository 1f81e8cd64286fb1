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
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "1000000" },
      seed: { type: "string", default: String(seedOfToday()) },
      input: { type: "string" },
    },
  });
  const inputs = Number(values.inputs);
  const seed = Number(values.seed);
  if (values.input !== undefined) return repeat(Number(values.input));
  if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
    say("--inputs and --seed are whole numbers, as in --inputs 10000000 --seed 7");
    return 2;
  }
  return run(inputs, seed);
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
