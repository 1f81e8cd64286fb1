import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { getWith } from "../../test/harness/parsed-head.ts";
import { readHopMark } from "../routing/hop-mark.ts";
import { parseTagValue } from "../routing/tag.ts";
import type { Hop } from "./hop.ts";
import { TraceAffinity } from "./trace-affinity.ts";

const ROOT = "00112233445566aa";

function fieldsOf(trace: string) {
  return getWith(`traceparent: 00-${trace.repeat(32)}-00000000000000aa-01`);
}

function hopOf(hop: string): Hop {
  return { root: ROOT, hop: hop.repeat(16), parent: null, isEntry: true };
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
  affinity.meetUntagged(fieldsOf("1"));
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

test("what cannot be read, or was read in two ways, is not learned", () => {
  const { affinity, learn, recall } = setUp();
  learn("1", "Jane!", "a");
  expect(recall("1")).toBeNull();
  const ambiguous = { ...parseTagValue("jane-42"), ambiguous: true };
  affinity.learn(fieldsOf("2"), ambiguous, hopOf("a"));
  expect(recall("2")).toBeNull();
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
    affinity.learn(fields, parseTagValue("jane-42"), { root, hop, parent: null, isEntry: false });
  }
  collect();
  const keptBytes = process.memoryUsage().heapUsed - before;
  expect(affinity.recall(getWith(traceOf(1)))?.mark?.hop).toBe("00112233445566bb");
  expect(keptBytes).toBeLessThan(16_000_000);
});
