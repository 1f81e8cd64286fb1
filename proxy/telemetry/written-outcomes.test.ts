import { expect, test } from "vitest";
import { decision, taggedExchange } from "./finished-exchange.fake.ts";
import { type SharedFacts, WrittenOutcomes } from "./written-outcomes.ts";

test("exchanges that are alike get the same bytes, and what differs in one fact does not", () => {
  const shared = decision({});
  let written = 0;
  const outcomes = new WrittenOutcomes((facts) => {
    written++;
    return JSON.stringify(facts);
  });
  const of = (changes: Partial<SharedFacts>) =>
    Buffer.from(outcomes.of(taggedExchange({ decision: shared, ...changes }))).toString();
  const usual = of({});
  expect(of({})).toBe(usual);
  expect(written).toBe(1);
  const others: readonly Partial<SharedFacts>[] = [
    { decision: decision({}) },
    { mode: "outbound" },
    { workload: "shop/pricing" },
    { healed: "affinity" },
    { revision: "e.2" },
    { tagText: "jane-42!" },
    { method: "POST" },
    { protocol: "h2" },
    { endpoint: null },
    { status: 502 },
    { attempt: 2 },
    { fault: "upstream-closed" },
    { closedBy: "upstream" },
  ];
  // Every fact that may be written has its row.
  expect(others.flatMap(Object.keys).toSorted()).toEqual(Object.keys(JSON.parse(usual)).toSorted());
  for (const changes of others) {
    const before = written;
    of({});
    expect(JSON.parse(of(changes))).toMatchObject(changes);
    expect(written).toBeGreaterThan(before);
  }
});

test("what was written of a long method is not kept: there are as many decisions as keys", () => {
  const shared = decision({});
  let written = 0;
  const outcomes = new WrittenOutcomes(({ method }) => {
    written++;
    return method;
  });
  for (const [method, times] of [
    ["M".repeat(32), 1],
    ["M".repeat(33), 2],
  ] as const) {
    written = 0;
    for (let i = 0; i < 2; i++) {
      const bytes = outcomes.of(taggedExchange({ decision: shared, method }));
      expect(Buffer.from(bytes).toString()).toBe(method);
    }
    expect(written).toBe(times);
  }
});
