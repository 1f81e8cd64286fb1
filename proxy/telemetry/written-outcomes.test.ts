import { expect, test } from "vitest";
import type { FinishedExchange } from "../exchange/record.ts";
import { AsciiLine } from "./ascii-line.ts";
import { decision, taggedExchange } from "./finished-exchange.fake.ts";
import { LINE_BYTES_MAX } from "./line.ts";
import { type SharedFacts, WrittenOutcomes } from "./written-outcomes.ts";

function added(outcomes: WrittenOutcomes, exchange: FinishedExchange): string {
  const line = new AsciiLine(LINE_BYTES_MAX);
  outcomes.add(line, exchange);
  return line.bytes.toString("latin1", 0, line.length);
}

test("exchanges that are alike get the same bytes, and what differs in one fact does not", () => {
  const shared = decision({});
  let written = 0;
  const outcomes = new WrittenOutcomes((facts) => {
    written++;
    return JSON.stringify(facts);
  });
  const of = (changes: Partial<SharedFacts>) =>
    added(outcomes, taggedExchange({ decision: shared, ...changes }));
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

test("what was written of a long method is not kept", () => {
  let written = 0;
  const outcomes = new WrittenOutcomes(({ method }) => {
    written++;
    return method;
  });
  for (const [method, times] of [
    ["M".repeat(32), 1],
    ["M".repeat(33), 2],
  ] as const) {
    const shared = decision({});
    written = 0;
    for (let i = 0; i < 2; i++) {
      expect(added(outcomes, taggedExchange({ decision: shared, method }))).toBe(method);
    }
    expect(written).toBe(times);
  }
});

test("what was written is kept of as many decisions as the limit says", () => {
  let written = 0;
  const outcomes = new WrittenOutcomes(() => {
    written++;
    return "";
  });
  const exchanges = Array.from({ length: 512 + 1 }, () =>
    taggedExchange({ decision: decision({}) }),
  );
  for (const exchange of exchanges.slice(1)) added(outcomes, exchange);
  for (const exchange of exchanges.slice(1)) added(outcomes, exchange);
  expect(written).toBe(512);
  // One more takes the place of the oldest.
  for (const exchange of exchanges) added(outcomes, exchange);
  expect(written).toBeGreaterThan(513);
});
