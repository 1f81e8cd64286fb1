import type { TSchema } from "typebox";
import { Check } from "typebox/value";
import { describe, expect, test } from "vitest";
import { JANE, observationOf, recordOf, statusOf } from "../control.fake.ts";
import { ExplainBodySchema } from "./explain.ts";
import { HopBatchSchema, HopRecordSchema } from "./hop.ts";
import { ProbeBodySchema } from "./probe.ts";
import { ProxyStatusSchema } from "./proxy.ts";
import { NameParamsSchema, PageQuerySchema } from "./query.ts";
import { RouteGroupBodySchema } from "./route-group.ts";
import { ObservationSchema } from "./run.ts";
import { SandboxBodySchema } from "./sandbox.ts";

type Row = readonly [what: string, max: number, make: (size: number) => unknown];

const text = (chars: number) => "x".repeat(chars);
const list = (count: number) => Array.from({ length: count }, (_, i) => `x${i}`);
const keyed = (keys: readonly string[], value: unknown) =>
  Object.fromEntries(keys.map((key) => [key, value]));

/** A property of texts, each with its length. */
function texts(make: (property: object) => unknown, charsMax: Readonly<Record<string, number>>) {
  return Object.entries(charsMax).map(
    ([name, max]): Row => [name, max, (chars) => make({ [name]: text(chars) })],
  );
}

const CHECK = { accepted: true, fault: null, timeMs: 0 };
const batchOf = (batch: object) => ({
  batch: { proxy: "cart-1", flush: null, dropped: {}, ...batch },
});
const forkOf = (fork: object) => ({ forks: [{ ...JANE.forks[0], ...fork }] });
const explainOf = (headers: object) => ({ workload: "shop/cart", headers });
const probeOf = (probe: object) => ({ entry: "edge", key: "jane-42", ...probe });

const ROWS: Readonly<Record<string, readonly [TSchema, readonly Row[]]>> = {
  "a hop record": [
    HopRecordSchema,
    [
      ...texts(recordOf, {
        caller: 140,
        workload: 127,
        proxy: 128,
        sandbox: 63,
        tag: 200,
        key: 200,
        reason: 40,
        revision: 160,
        endpoint: 300,
        fault: 64,
      }),
      ["status", 999, (status) => recordOf({ status })],
      ["attempt", 100, (attempt) => recordOf({ attempt })],
    ],
  ],
  "a batch": [
    HopBatchSchema,
    [
      ...texts(batchOf, { proxy: 128, flush: 64 }),
      ["keys of what was dropped", 10_000, (count) => batchOf({ dropped: keyed(list(count), 1) })],
      ["a key of what was dropped", 200, (chars) => batchOf({ dropped: { [text(chars)]: 1 } })],
    ],
  ],
  "an observation": [
    ObservationSchema,
    texts(observationOf, {
      workload: 127,
      proxy: 128,
      sandbox: 63,
      caller: 140,
      method: 64,
      client: 100,
    }),
  ],
  "a status": [
    ProxyStatusSchema,
    [
      ...texts(statusOf, { sandbox: 63, listen: 300, admin: 300, version: 100 }),
      ["a workload", 127, (chars) => statusOf({ workloads: [text(chars)] })],
      ["a callee", 127, (chars) => statusOf({ callees: [text(chars)] })],
      ["callees", 64, (count) => statusOf({ callees: list(count) })],
      ["a revision", 160, (chars) => statusOf({ applied: [text(chars)] })],
      ["why", 1_000, (chars) => statusOf({ rejected: { revision: null, why: text(chars) } })],
      [
        "a kept-out revision",
        160,
        (chars) => statusOf({ rejected: { revision: text(chars), why: "" } }),
      ],
      ["an endpoint", 300, (chars) => statusOf({ endpoints: { [text(chars)]: CHECK } })],
      ["a fault", 64, (chars) => statusOf({ endpoints: { x: { ...CHECK, fault: text(chars) } } })],
      ["a key", 50, (chars) => statusOf({ lastSeen: { [text(chars)]: 1 } })],
      ["a counter", 200, (chars) => statusOf({ counters: { [text(chars)]: 1 } })],
    ],
  ],
  "a question": [
    ExplainBodySchema,
    [
      ["workload", 127, (chars) => ({ ...explainOf({}), workload: text(chars) })],
      ["a header's name", 256, (chars) => explainOf({ [text(chars)]: "x" })],
      ["a header's values", 64, (count) => explainOf({ x: list(count) })],
    ],
  ],
  "a probe": [
    ProbeBodySchema,
    [
      ...texts(probeOf, { entry: 128, key: 163 }),
      ["path", 8_192, (chars) => probeOf({ request: { path: `/${text(chars - 1)}` } })],
      ["method", 20, (chars) => probeOf({ request: { method: "A".repeat(chars) } })],
      ["an expectation", 127, (chars) => probeOf({ expect: { [text(chars)]: "fork" } })],
    ],
  ],
  "a sandbox": [
    SandboxBodySchema,
    [
      ...texts((property) => ({ ...JANE, ...property }), { routingKey: 40 }),
      ["a workload", 127, (chars) => forkOf({ workload: text(chars) })],
      ["an endpoint", 60, (chars) => forkOf({ endpoints: [text(chars)] })],
    ],
  ],
  "a route group": [
    RouteGroupBodySchema,
    [
      ["a member", 63, (chars) => ({ sandboxes: [text(chars)] })],
      ["members", 64, (count) => ({ sandboxes: list(count) })],
      ["selector", 1_024, (chars) => ({ labelSelector: text(chars) })],
    ],
  ],
  "a path": [NameParamsSchema, texts((property) => property, { name: 63 })],
  "a page": [PageQuerySchema, texts((property) => property, { cursor: 200 })],
};

describe.each(Object.entries(ROWS))("of %s", (_, [schema, rows]) => {
  test.each(rows)("%s is at most %i", (_what, max, make) => {
    expect([Check(schema, make(max)), Check(schema, make(max + 1))]).toEqual([true, false]);
  });
});

test.each([
  ["a counter", ProxyStatusSchema, (value: unknown) => ({ ...statusOf({}), counters: value })],
  ["an endpoint", ProxyStatusSchema, (value: unknown) => ({ ...statusOf({}), endpoints: value })],
  ["a key", ProxyStatusSchema, (value: unknown) => ({ ...statusOf({}), lastSeen: value })],
  ["a count of what was dropped", HopBatchSchema, (value: unknown) => batchOf({ dropped: value })],
  ["a header", ExplainBodySchema, (value: unknown) => explainOf(value as object)],
  ["an expectation", ProbeBodySchema, (value: unknown) => probeOf({ expect: value })],
])("%s is what it has to be, though its name has a line end", (_, schema, make) => {
  expect([Check(schema, make({})), Check(schema, make({ "a\nb": { x: 1 } }))]).toEqual([
    true,
    false,
  ]);
});
