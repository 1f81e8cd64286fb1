/** What holds for every shop: who propagates is never blamed, who does not is named, order means nothing. */
import { expect, test } from "vitest";
import type { PropagationVerdict } from "./evidence.ts";
import { judgePropagation } from "./judge-propagation.ts";
import { type Chance, chanceOf, nameOf, type Shop, simulate } from "./simulate.fake.ts";

/** Seeds are counted: a case that fails names its own. */
const CASES = 400;

test("a healthy shop yields nothing, with parallel calls, retries and traffic of others", () => {
  const blamed: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const chance = chanceOf(seed);
    const shop = shopOf(chance);
    const requests = 1 + Math.floor(chance() * 6);
    const background = Math.floor(chance() * chance() * 150);
    const isLearned = chance() < 0.5;
    const evidence = simulate({ shop, chance, requests, broken: null, background, isLearned });
    if (judgePropagation(evidence).verdict !== "healthy") blamed.push(seed);
  }
  expect(blamed).toEqual([]);
});

test("one broken edge is the one finding, confirmed where the trace goes on and the caller is known", () => {
  const wrong: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const { verdict, from, to } = breakOne(seed, { keepsTrace: true, isLearned: true });
    const [finding, ...others] = verdict.findings;
    const isRight = finding?.from.join() === from && finding.to === to && others.length === 0;
    if (!isRight || finding.confidence !== "confirmed" || finding.seen !== 5) wrong.push(seed);
  }
  expect(wrong).toEqual([]);
});

test("without any trace, what is found is the broken edge; and nearly always it is found", () => {
  let missed = 0;
  const wrong: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const { verdict, from, to } = breakOne(seed, { keepsTrace: false, isLearned: true });
    const [finding] = verdict.findings;
    if (finding === undefined) missed++;
    else if (finding.from.join() !== from || finding.to !== to) wrong.push(seed);
  }
  expect(wrong).toEqual([]);
  expect(missed).toBeLessThan(CASES / 50);
});

test("the order of the evidence means nothing", () => {
  for (let seed = 0; seed < CASES / 8; seed++) {
    const { evidence, verdict } = breakOne(seed, { keepsTrace: seed % 2 === 0, isLearned: false });
    const shuffled = {
      ...evidence,
      roots: evidence.roots.toReversed(),
      hops: shuffle(evidence.hops, chanceOf(seed)),
      observations: shuffle(evidence.observations, chanceOf(seed + 1)),
      expected: evidence.expected.toReversed(),
    };
    expect(judgePropagation(shuffled), `seed ${seed}`).toEqual(verdict);
  }
});

function shopOf(chance: Chance): Shop {
  const size = 1 + Math.floor(chance() * 6);
  const callers = Array.from({ length: size }, (_, i) => Math.floor(chance() * (i + 1)));
  return { callers, hasOwnAddresses: chance() < 0.5, keepsTrace: chance() < 0.5 };
}

interface Broken {
  readonly evidence: ReturnType<typeof simulate>;
  readonly verdict: PropagationVerdict;
  readonly from: string;
  readonly to: string;
}

function breakOne(seed: number, how: { keepsTrace: boolean; isLearned: boolean }): Broken {
  const chance = chanceOf(seed);
  const { keepsTrace, isLearned } = how;
  const shop = { ...shopOf(chance), keepsTrace };
  const to = 1 + Math.floor(chance() * shop.callers.length);
  const state = chance() < 0.5 ? "absent" : "other-baggage";
  const background = Math.floor(chance() * 15);
  const broken = { to, state, keepsTrace } as const;
  const evidence = simulate({ shop, chance, requests: 5, broken, background, isLearned });
  const from = nameOf(shop.callers[to - 1] ?? 0);
  return { evidence, verdict: judgePropagation(evidence), from, to: nameOf(to) };
}

function shuffle<T>(list: readonly T[], chance: Chance): T[] {
  return list
    .map((each) => [chance(), each] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, each]) => each);
}
