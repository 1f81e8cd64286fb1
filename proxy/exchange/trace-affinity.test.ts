import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { getWith } from "../../test/harness/parsed-head.ts";
import { type HopMark, readHopMark } from "../routing/hop-mark.ts";
import { parseTagValue } from "../routing/tag.ts";
import { TraceAffinity } from "./trace-affinity.ts";

const ROOT = "00112233445566aa";

function fieldsOf(trace: string) {
  return getWith(`traceparent: 00-${trace.repeat(32)}-00000000000000aa-01`);
}

function hopOf(hop: string): HopMark {
  return { root: ROOT, hop: hop.repeat(16) };
}

function setUp(tracesMax = 10, ttlMs = 1_000) {
  const clock = { nowMs: 1 };
  const affinity = new TraceAffinity(tracesMax, ttlMs, () => clock.nowMs);
  const learn = (trace: string, tag: string, hop: string) =>
    affinity.learn(fieldsOf(trace), parseTagValue(tag), hopOf(hop));
  const recall = (trace: string) => affinity.recall(fieldsOf(trace));
  return { clock, affinity, learn, recall };
}

test("a trace that came with one tag has it, and its place in the tree", () => {
  const { learn, recall } = setUp();
  learn("1", "jane-42!", "a");
  expect(recall("1")).toMatchObject({
    tag: { text: "jane-42!", strict: true },
    mark: { root: ROOT, hop: "a".repeat(16) },
  });
  expect(recall("2")).toBeNull();
});

test("of several hops of it nobody knows which made the call", () => {
  const { learn, recall } = setUp();
  learn("1", "jane-42", "a");
  learn("1", "jane-42", "b");
  expect(recall("1")).toMatchObject({ tag: { text: "jane-42" }, mark: null });
});

test("with two tags it has none until it is forgotten", () => {
  const { clock, learn, recall } = setUp();
  learn("1", "jane-42", "a");
  learn("1", "jane-42!", "b");
  learn("1", "jane-42", "c");
  expect(recall("1")).toBeNull();
  clock.nowMs += 1_001;
  learn("1", "jane-42", "d");
  expect(recall("1")).toMatchObject({ tag: { text: "jane-42" } });
});

test("once its trace came without a tag, it has none either until it is forgotten", () => {
  const { clock, affinity, learn, recall } = setUp();
  learn("1", "jane-42", "a");
  learn("2", "jane-42", "a");
  affinity.meetUntagged(fieldsOf("1"));
  learn("1", "jane-42", "b");
  expect(recall("1")).toBeNull();
  expect(recall("2")).toMatchObject({ tag: { text: "jane-42" } });
  clock.nowMs += 1_001;
  learn("1", "jane-42", "c");
  expect(recall("1")).toMatchObject({ tag: { text: "jane-42" } });
});

test("nor does it where its trace came without a tag first, while any trace is remembered", () => {
  const { clock, affinity, learn, recall } = setUp();
  learn("1", "jane-42", "a");
  affinity.meetUntagged(fieldsOf("2"));
  learn("2", "jane-42", "b");
  learn("2", "jane-42", "c");
  expect(recall("2")).toBeNull();
  // The last one is forgotten: who comes without a tag is not remembered any more.
  clock.nowMs += 1_001;
  affinity.meetUntagged(fieldsOf("3"));
  learn("3", "jane-42", "a");
  expect(recall("3")).toMatchObject({ tag: { text: "jane-42" } });
});

test("traces without a tag push out none that has one, and are forgotten as those are", () => {
  const { clock, affinity, learn, recall } = setUp(2, 1_000);
  learn("1", "jane-42", "a");
  for (const trace of ["2", "3", "4", "5", "6"]) affinity.meetUntagged(fieldsOf(trace));
  expect(recall("1")).not.toBeNull();
  for (const trace of ["2", "6"]) learn(trace, "jane-42", "a");
  expect([recall("2")?.tag.text, recall("6")]).toEqual(["jane-42", null]);
  clock.nowMs += 1_001;
  affinity.meetUntagged(fieldsOf("7"));
  learn("6", "jane-42", "a");
  expect(recall("6")).not.toBeNull();
});

test("it is forgotten after its time, and before it by newer ones", () => {
  const { clock, learn, recall } = setUp(2);
  learn("1", "jane-42", "a");
  clock.nowMs += 1_000;
  expect(recall("1")).not.toBeNull();
  clock.nowMs += 1;
  expect(recall("1")).toBeNull();
  for (const trace of ["1", "2", "3"]) learn(trace, "jane-42", "a");
  expect([recall("1"), recall("2")?.tag.text, recall("3")?.tag.text]).toEqual([
    null,
    "jane-42",
    "jane-42",
  ]);
});

test("what cannot be read, or was read in two ways, takes it from its trace from then on", () => {
  const ambiguous = { ...parseTagValue("mark-7"), ambiguous: true };
  const { affinity, learn, recall } = setUp();
  learn("1", "jane-42", "a");
  affinity.learn(fieldsOf("1"), ambiguous, hopOf("b"));
  expect(recall("1")).toBeNull();
  affinity.learn(fieldsOf("2"), ambiguous, hopOf("a"));
  learn("2", "mark-7", "a");
  expect(recall("2")).toBeNull();
  learn("3", "jane-42", "a");
  learn("3", "Jane!", "b");
  learn("3", "jane-42", "c");
  expect(recall("3")).toBeNull();
});

test("without a trace id nothing is learned", () => {
  const { affinity } = setUp();
  affinity.learn(getWith("x: 1"), parseTagValue("jane-42"), hopOf("a"));
  expect(affinity.recall(getWith("x: 1"))).toBeNull();
});

test("of a head it keeps no more than what it remembers", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const affinity = new TraceAffinity(2_000, 60_000);
  const traceOf = (i: number) =>
    `traceparent: 00-${i.toString(16).padStart(32, "0")}-00000000000000aa-01`;
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 1; i <= 2_000; i++) {
    const mark = `forklane-hop=${ROOT}.00112233445566bb`;
    const fields = getWith(`baggage: ${mark},other=${"x".repeat(16_000)}`, traceOf(i));
    const { root = "", hop = "" } = readHopMark(fields) ?? {};
    affinity.learn(fields, parseTagValue("jane-42"), { root, hop });
  }
  collect();
  const keptBytes = process.memoryUsage().heapUsed - before;
  expect(affinity.recall(getWith(traceOf(1)))?.mark?.hop).toBe("00112233445566bb");
  expect(keptBytes).toBeLessThan(16_000_000);
});
