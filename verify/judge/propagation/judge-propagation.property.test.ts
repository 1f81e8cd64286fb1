/** What holds for every shop: who propagates is never blamed, who does not is named, order means nothing. */
import { expect, test } from "vitest";
import type { PropagationVerdict } from "./evidence.ts";
import { judgePropagation } from "./judge-propagation.ts";
import { type Chance, chanceOf, nameOf, type Shop, simulate } from "./simulate.fake.ts";

/** Seeds are counted: a case that fails names its own. */
const CASES = 400;

const QUIET = { broken: null, background: 0, isLearned: true, repeatAfterMs: null, fork: null };

test("a healthy shop yields nothing, with parallel calls, retries, forks and traffic of others", () => {
  const blamed: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const chance = chanceOf(seed);
    const shop = shopOf(chance);
    const requests = 1 + Math.floor(chance() * 6);
    const background = Math.floor(chance() * chance() * 150);
    const isLearned = chance() < 0.5;
    const fork = { of: pick(shop.callers.length + 1, chance), calls: pick(100, chance) };
    const evidence = simulate({ ...QUIET, shop, chance, requests, background, isLearned, fork });
    if (judgePropagation(evidence).verdict !== "healthy") blamed.push(seed);
  }
  expect(blamed).toEqual([]);
});

test("a client that repeats its requests untagged, before, beside or after, blames nobody", () => {
  const blamed: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const chance = chanceOf(seed);
    const shop = { ...shopOf(chance), keepsTrace: chance() < 0.8 };
    const repeatAfterMs = [-100, 3, 100][seed % 3] ?? 0;
    const isLearned = chance() < 0.5;
    const evidence = simulate({ ...QUIET, shop, chance, requests: 5, isLearned, repeatAfterMs });
    if (judgePropagation(evidence).findings.length > 0) blamed.push(seed);
  }
  expect(blamed).toEqual([]);
});

test("a broken edge is the one finding, confirmed where the trace goes on and one caller is known", () => {
  const wrong: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const { shop, verdict, from, to } = breakOne(seed, { keepsTrace: true, isLearned: true });
    const [finding, ...others] = verdict.findings;
    const isRight = finding?.from.join() === from && finding.to === to && others.length === 0;
    const isOnly = shop.hasOwnAddresses || shop.callers.every(({ length }) => length === 1);
    if (isOnly && (!isRight || finding.confidence !== "confirmed" || finding.seen !== 5)) {
      wrong.push(seed);
    }
  }
  expect(wrong).toEqual([]);
});

test("what a trace id proves is never healthy, and who is confirmed to have lost it did", () => {
  const wrong: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const isLearned = seed % 2 === 0;
    const { verdict, from, to } = breakOne(seed, { keepsTrace: true, isLearned });
    const accused = verdict.findings.filter(({ confidence }) => confidence === "confirmed");
    const isRight = accused.every((each) => each.from.join() === from && each.to === to);
    const [finding] = verdict.findings;
    const isNamed = finding === undefined || (finding.from.includes(from) && finding.to === to);
    if (verdict.verdict === "healthy" || !isRight || !isNamed) wrong.push(seed);
  }
  expect(wrong).toEqual([]);
});

test("without any trace, what is found is the broken edge, and what is not is never healthy", () => {
  let missed = 0;
  const wrong: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const { shop, verdict, from, to } = breakOne(seed, { keepsTrace: false, isLearned: true });
    const [finding] = verdict.findings;
    if (verdict.verdict === "healthy") wrong.push(seed);
    if (finding === undefined) missed += canCount(shop) ? 1 : 0;
    else if (!finding.from.includes(from) || finding.to !== to) wrong.push(seed);
  }
  expect(wrong).toEqual([]);
  expect(missed).toBeLessThan(CASES / 50);
});

/** Of one clock, and callers that can be told apart where one of two has lost the tag. */
function canCount({ callers, hasOwnAddresses, skewsMs }: Shop): boolean {
  if (skewsMs.length > 0) return false;
  return hasOwnAddresses || callers.every(({ length }) => length === 1);
}

test("the order of the evidence means nothing", () => {
  for (let seed = 0; seed < CASES / 8; seed++) {
    const { evidence, verdict } = breakOne(seed, { keepsTrace: seed % 2 === 0, isLearned: false });
    const shuffled = {
      ...evidence,
      roots: evidence.roots.toReversed(),
      hops: shuffle(evidence.hops, chanceOf(seed)),
      observations: shuffle(evidence.observations, chanceOf(seed + 1)),
      expected: evidence.expected.toReversed(),
      places: evidence.places.toReversed(),
    };
    expect(judgePropagation(shuffled), `seed ${seed}`).toEqual(verdict);
  }
});

/** Some services have two callers; where each has its own address, each may have its own clock. */
function shopOf(chance: Chance): Shop {
  const size = 1 + Math.floor(chance() * 6);
  const isTree = chance() < 0.5;
  const callers = Array.from({ length: size }, (_, i) => {
    const all = [pick(i + 1, chance), pick(i + 1, chance)];
    return isTree ? all.slice(0, 1) : [...new Set(all)];
  });
  const hasOwnAddresses = chance() < 0.5;
  const isSkewed = hasOwnAddresses && chance() < 0.5;
  const skewsMs = isSkewed ? [0, ...callers.map(() => (chance() - 0.5) * 2 * SKEW_MS)] : [];
  return { callers, hasOwnAddresses, keepsTrace: chance() < 0.5, skewsMs };
}

/** About what NTP leaves, and more than the calls of these shops last. */
const SKEW_MS = 25;

interface Broken {
  readonly shop: Shop;
  readonly evidence: ReturnType<typeof simulate>;
  readonly verdict: PropagationVerdict;
  readonly from: string;
  readonly to: string;
}

function breakOne(seed: number, how: { keepsTrace: boolean; isLearned: boolean }): Broken {
  const chance = chanceOf(seed);
  const { keepsTrace, isLearned } = how;
  const shop = { ...shopOf(chance), keepsTrace };
  const to = 1 + pick(shop.callers.length, chance);
  const callers = shop.callers[to - 1] ?? [];
  const from = callers[pick(callers.length, chance)] ?? 0;
  const state = chance() < 0.5 ? "absent" : "other-baggage";
  const background = Math.floor(chance() * 15);
  // Where only the time can name the caller, it names whoever was around the call.
  const isNamed = isLearned || shop.hasOwnAddresses;
  const outlives = keepsTrace && isNamed && chance() < 0.3;
  const broken = { from, to, state, keepsTrace, outlives } as const;
  const evidence = simulate({ ...QUIET, shop, chance, requests: 5, broken, background, isLearned });
  return {
    shop,
    evidence,
    verdict: judgePropagation(evidence),
    from: nameOf(from),
    to: nameOf(to),
  };
}

function pick(count: number, chance: Chance): number {
  return Math.floor(chance() * count);
}

function shuffle<T>(list: readonly T[], chance: Chance): T[] {
  return list
    .map((each) => [chance(), each] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, each]) => each);
}
