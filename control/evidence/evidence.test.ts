import { expect, test } from "vitest";
import { OTHER_KEYS } from "../../core/hop-record.ts";
import { FakeClock, limitsWith, recordOf } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { Evidence } from "./evidence.ts";

/** Control that has run for a while. */
function setUp(smaller: Partial<ControlLimits> = {}, ranForMs = 60_000) {
  const clock = new FakeClock();
  const evidence = new Evidence(limitsWith(smaller), clock);
  clock.advance(ranForMs);
  const add = (
    records: Parameters<typeof recordOf>[0][],
    dropped: Record<string, number> = {},
    proxy = "cart-1",
  ) => evidence.add({ proxy, flush: null, dropped }, records.map(recordOf));
  return { clock, evidence, add };
}

function id(n: number): string {
  return n.toString(16).padStart(16, "0");
}

test("records of one request are held together, and a batch sent twice counts once", () => {
  const { evidence, add } = setUp();
  add([{ root: id(1), hop: id(1) }, { root: id(1), hop: id(2) }, { root: id(2) }]);
  add([{ root: id(1), hop: id(1) }]);
  expect(evidence.ofRoot(id(1))?.records).toHaveLength(2);
  // A call that was sent once more is not the same batch.
  add([{ root: id(2), timeMs: recordOf({}).timeMs + 1 }]);
  expect(evidence.recordsOf(id(2))).toHaveLength(2);
  expect(evidence.ofRoot(id(3))).toBeNull();
  expect([evidence.recordsOf(id(3)), evidence.recordCount]).toEqual([[], 4]);
});

test("a request is found by its trace id, the first one first", () => {
  const { evidence, add } = setUp();
  const traceId = "a".repeat(32);
  add([
    { root: id(2), traceId, timeMs: 20 },
    { root: id(1), traceId, timeMs: 30 },
    { root: id(1), hop: id(2), traceId, timeMs: 10 },
  ]);
  expect(evidence.rootsOfTraceId(traceId)).toEqual([id(1), id(2)]);
  expect(evidence.rootsOfTraceId("b".repeat(32))).toEqual([]);
});

test("one request has a bound, and what is over it is said", () => {
  const { evidence, add } = setUp({ recordsPerRootMax: 2 });
  add([1, 2].map((n) => ({ hop: id(n) })));
  expect(evidence.ofRoot(recordOf({}).root)?.gaps).toEqual([]);
  add([{ hop: id(3) }]);
  const held = evidence.ofRoot(recordOf({}).root);
  expect(held?.records).toHaveLength(2);
  expect(held?.gaps).toMatchObject([{ code: "bound-reached" }]);
});

test("one key has a bound: its oldest request goes whole, others are not touched", () => {
  const { evidence, add } = setUp({ recordsPerKeyMax: 3 });
  add([{ root: id(9), key: "bob-7" }]);
  add([1, 2, 3, 4].map((n) => ({ root: id(n) })));
  expect(evidence.ofRoot(id(1))).toBeNull();
  expect(evidence.ofRoot(id(2))?.gaps).toEqual([]);
  expect(evidence.ofRoot(id(9))).not.toBeNull();
  expect(evidence.recordCount).toBe(4);
});

test("all together have a bound, and what is evicted leaves no trace in the indexes", () => {
  const { evidence, add } = setUp({ recordsMax: 2 });
  const traceId = "a".repeat(32);
  for (const n of [1, 2, 3]) add([{ root: id(n), key: `key-${n}`, traceId }]);
  expect(evidence.recordCount).toBe(2);
  expect(evidence.rootsOfTraceId(traceId)).toEqual([id(2), id(3)]);
});

test("a late record of an evicted request does not look like all of it", () => {
  const { evidence, add } = setUp({ recordsMax: 1 });
  add([{ root: id(1), hop: id(1) }]);
  add([{ root: id(2) }]);
  add([{ root: id(1), hop: id(2) }]);
  expect(evidence.ofRoot(id(1))?.gaps).toMatchObject([{ code: "bound-reached" }]);
});

test("only so many evicted requests are remembered", () => {
  const { evidence, add } = setUp({ recordsMax: 1, evictedRootsMax: 1 });
  for (const n of [1, 2, 3, 1]) add([{ root: id(n) }]);
  expect(evidence.ofRoot(id(1))?.gaps).toEqual([]);
});

test("what a proxy dropped of a key is a gap in requests that were under way, not in later ones", () => {
  const { clock, evidence, add } = setUp();
  add([{ root: id(1) }]);
  add([], { "jane-42": 3, "bob-7": 1 }, "web-1");
  const gaps = evidence.ofRoot(id(1))?.gaps;
  expect(gaps).toMatchObject([{ code: "records-dropped" }]);
  expect(gaps?.[0]?.detail).toContain("web-1");
  clock.advance(60_000);
  add([{ root: id(2) }]);
  expect(evidence.ofRoot(id(2))?.gaps).toEqual([]);
  expect(evidence.ofRoot(id(1))?.gaps).toHaveLength(1);
});

test("a drop that was told shortly before the request's first record counts too", () => {
  const { clock, evidence, add } = setUp();
  add([], { "jane-42": 1 }, "web-1");
  clock.advance(5_000);
  add([{ root: id(1) }]);
  expect(evidence.ofRoot(id(1))?.gaps).toHaveLength(1);
});

test("drops of keys that the proxy did not tell apart may be anybody's", () => {
  const { evidence, add } = setUp();
  add([{ root: id(1) }]);
  add([], { [OTHER_KEYS]: 2 }, "web-1");
  expect(evidence.ofRoot(id(1))?.gaps).toMatchObject([{ code: "records-dropped" }]);
});

test("a long exchange began before its record: drops during it count", () => {
  const { clock, evidence, add } = setUp();
  add([], { "jane-42": 1 }, "web-1");
  clock.advance(120_000);
  add([{ root: id(1), totalMs: 130_000 }]);
  expect(evidence.ofRoot(id(1))?.gaps).toHaveLength(1);
});

test("of a request that is older than control nobody knows that all is here", () => {
  const { clock, evidence, add } = setUp({}, 1_000);
  add([
    { root: id(1), totalMs: 1_001 },
    // It was over, and its proxy kept the record until control came.
    { root: id(2), timeMs: clock.epochMs() - 1_001 },
    { root: id(3), totalMs: 1_000, timeMs: clock.epochMs() - 1_000 },
  ]);
  const codes = (n: number) => evidence.ofRoot(id(n))?.gaps.map(({ code }) => code);
  expect([codes(1), codes(2), codes(3)]).toEqual([
    ["control-restarted"],
    ["control-restarted"],
    [],
  ]);
});

test("of those who dropped only so many are named", () => {
  const { evidence, add } = setUp({ namedProxiesMax: 2 });
  add([{ root: id(1) }]);
  for (const proxy of ["a-1", "b-1", "c-1"]) add([], { "jane-42": 1, other: 1 }, proxy);
  expect(evidence.ofRoot(id(1))?.gaps).toHaveLength(2);
});

test("when drops are too many to remember, every request that was under way is doubted", () => {
  const { evidence, add } = setUp({ droppedNotesMax: 1 });
  add([{ root: id(1) }]);
  add([], { other: 1, another: 1 });
  expect(evidence.ofRoot(id(1))?.gaps).toMatchObject([{ code: "records-dropped" }]);
});
