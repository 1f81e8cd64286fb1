import {
  check,
  cutsOf,
  type Extras,
  type Finding,
  type RuleCounts,
  SUBJECTS,
  type Subjects,
} from "./check.ts";
import { generate } from "./generate.ts";
import type { Input } from "./input.ts";
import { minimise } from "./minimise.ts";

/** How many inputs a run has tried, and how. */
export interface Tried {
  inputs: number;
  requests: number;
  responses: number;
  /** Lines of fields, and routing tables. */
  fields: number;
  tables: number;
  /** Messages that were also fed in pieces. */
  splits: number;
  /** Requests and responses that were also sent through a whole proxy. */
  relayed: number;
}

/** What a run has come to. */
export interface Run {
  readonly tried: Tried;
  /** How often each difference from Node's parser was met, by its rule. */
  readonly rules: RuleCounts;
  /** The first findings, each with the seed of its input and made small. */
  readonly findings: readonly SeededFinding[];
}

/** A finding, and where it came from. */
export interface SeededFinding {
  /** Gives the whole input: `npm run fuzz -- --input SEED`. */
  readonly seed: number;
  readonly small: Finding;
}

/** After so many a run stops: they mostly have one cause. */
const FINDINGS_MAX = 5;

/** Every how many inputs it is asked whether the run is over. */
const BATCH = 1_000;

/**
 * Tries the inputs of `seed`, `seed + 1` and so on until `isOver` says so, asked every 1,000 inputs, or
 * too much was found.
 */
export function fuzz(
  seed: number,
  isOver: (tried: Tried) => boolean,
  subjects: Subjects = SUBJECTS,
): Run {
  const tried = { ...NOTHING_TRIED };
  const rules: RuleCounts = new Map();
  const findings: SeededFinding[] = [];
  while (findings.length < FINDINGS_MAX && (tried.inputs % BATCH !== 0 || !isOver(tried))) {
    const inputSeed = (seed + tried.inputs) >>> 0;
    const found = checkSeed(inputSeed, tried, subjects, rules);
    if (found !== null) findings.push({ seed: inputSeed, small: minimise(found, subjects) });
  }
  return { tried, rules, findings };
}

const NOTHING_TRIED: Tried = {
  inputs: 0,
  requests: 0,
  responses: 0,
  fields: 0,
  tables: 0,
  splits: 0,
  relayed: 0,
};

/** Checks the input of one seed, and counts it. */
function checkSeed(
  seed: number,
  tried: Tried,
  subjects: Subjects,
  rules: RuleCounts,
): Finding | null {
  const input = generate(seed);
  const extras = extrasOf(seed, input);
  tried.inputs++;
  tried[input.kind]++;
  if (extras.cuts !== null) tried.splits++;
  if (extras.isPassedOn) tried.relayed++;
  return check(input, extras, subjects, rules);
}

/** Two of three messages come in pieces as well, and every other is passed on. */
export function extrasOf(seed: number, input: Input): Extras {
  const isMessages = input.kind === "requests" || input.kind === "responses";
  return {
    cuts: !isMessages || seed % 3 === 0 ? null : cutsOf(seed, input),
    isPassedOn: isMessages && seed % 2 === 0,
  };
}
