import { expect, test } from "vitest";
import type { Observation } from "../../core/observation.ts";
import { FakeClock, limitsWith, observationOf, recordOf } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { Runs } from "./runs.ts";

const BATCH = { proxy: "cart-1", flush: null, dropped: {} };

function setUp(smaller: Partial<ControlLimits> = {}) {
  const clock = new FakeClock();
  const runs = new Runs<string>(limitsWith(smaller), clock);
  const open = (ms = 1_000) => {
    const run = runs.open("propagation", ms);
    if (!run.ok) throw new Error(run.error);
    return run.value.id;
  };
  const observe = (count: number, batch = {}) => {
    const all: Observation[] = Array.from({ length: count }, () => observationOf({}));
    runs.add({ ...BATCH, ...batch }, [], all);
  };
  return { clock, runs, open, observe };
}

test("what comes while a run is open is its own, what comes later is not", () => {
  const { clock, runs, open, observe } = setUp();
  const id = open();
  runs.add(BATCH, [recordOf({}), recordOf({})], [observationOf({})]);
  clock.advance(1_000);
  observe(1);
  expect(runs.isOpen(id)).toBe(false);
  expect(runs.get(id)?.observations).toHaveLength(1);
  expect([...(runs.get(id)?.roots ?? [])]).toEqual([recordOf({}).root]);
});

test("proxies are told of open runs, and for how long each goes on", () => {
  const { clock, runs, open } = setUp();
  const id = open(1_000);
  clock.advance(400);
  expect(runs.announced()).toEqual([{ id, kind: "propagation", forMs: 600 }]);
  runs.judged(id, "healthy");
  expect(runs.announced()).toEqual([]);
});

test("a verdict is kept, and nothing of what it was made from", () => {
  const { runs, open, observe } = setUp();
  const id = open();
  observe(3);
  runs.judged(id, "broken");
  expect(runs.get(id)).toMatchObject({ verdict: "broken", observations: [] });
});

test("only so many runs are open at a time", () => {
  const { clock, runs, open } = setUp({ runsOpenMax: 2 });
  open();
  open();
  expect(runs.open("propagation", 1_000)).toEqual({ ok: false, error: "too-many" });
  clock.advance(1_000);
  expect(runs.open("propagation", 1_000).ok).toBe(true);
});

test("only so many runs are remembered, the oldest that is over goes first", () => {
  const { clock, runs, open } = setUp({ runsOpenMax: 2, runsKeptMax: 2 });
  const long = open(10_000);
  const short = open(1_000);
  clock.advance(1_000);
  open();
  expect(runs.get(long)).not.toBeNull();
  expect(runs.get(short)).toBeNull();
});

test("one run holds only so many observations and requests, and counts the others", () => {
  const { runs, open, observe } = setUp({ runObservationsMax: 2, runRootsMax: 1 });
  const id = open();
  observe(5);
  runs.add(BATCH, [recordOf({}), recordOf({ root: "00000000000000ab" })], []);
  expect(runs.get(id)).toMatchObject({ observationsDropped: 3, rootsDropped: 1 });
});

test("what proxies left out is counted once, however often they say it", () => {
  const { runs, open, observe } = setUp();
  const id = open();
  for (const observationsDropped of [2, 5, 5]) observe(0, { observationsDropped });
  observe(0, { proxy: "web-1", observationsDropped: 1 });
  expect(runs.get(id)?.observationsDropped).toBe(6);
});

test("only so many proxies are told apart in what they left out; the others count all the same", () => {
  const { runs, open, observe } = setUp({ proxiesMax: 1 });
  const id = open();
  for (const proxy of ["cart-1", "web-1", "mail-1"]) observe(0, { proxy, observationsDropped: 2 });
  observe(0, { observationsDropped: 3 });
  expect(runs.get(id)?.observationsDropped).toBe(7);
});
