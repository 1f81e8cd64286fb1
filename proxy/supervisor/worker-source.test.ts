import { expect, test } from "vitest";
import { systemClock } from "../../core/clock.ts";
import type { RoutingTable } from "../routing/table.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { QueuedHops, QueuedObservations } from "../watch/watched-proxy.fake.ts";
import type { FromWorker, TableMessage } from "./messages.ts";
import { WorkerSource } from "./worker-source.ts";

function setUp() {
  const sent: FromWorker[] = [];
  const tables: RoutingTable[] = [];
  const warnings: string[] = [];
  const hops = new QueuedHops();
  const observations = new QueuedObservations();
  const seen: Record<string, number> = { "jane-42": 10 };
  const source = new WorkerSource(
    "shop/cart",
    {
      listen: "127.0.0.1:8110",
      admin: null,
      clock: systemClock,
      log: { info: () => undefined, warn: (message) => warnings.push(message) },
      hops,
      observations,
      lastSeen: () => ({ ...seen }),
      counters: () => ({ exchanges: 1 }),
      onTable: (table) => tables.push(table),
    },
    new Metrics({ workload: "shop/cart" }),
    { send: async (message) => void sent.push(message) },
  );
  const kinds = () => sent.splice(0).map(({ kind }) => kind);
  return { source, sent, kinds, tables, warnings, hops, observations, seen };
}

function whole(number: number, known: readonly string[]): TableMessage {
  const document = Buffer.from(JSON.stringify({ revision: `e.${number}`, routes: {}, known }));
  return { kind: "table", number, state: "current", document, changes: [] };
}

test("a table is taken whole, then by its changes and by its state alone", async () => {
  const { source, sent, tables } = setUp();
  const started = source.start();
  source.take(whole(1, ["jane-42"]));
  await started;
  const data = JSON.stringify({ added: ["pr-7"], removed: [], expired: ["jane-42"] });
  const changes = [{ kind: "keys", revision: "e.2", data } as const];
  source.take({ kind: "table", number: 2, state: "stale", document: null, changes });
  source.take({ kind: "table", number: 3, state: "current", document: null, changes: [] });
  source.take({ kind: "table", number: 4, state: "unknown", document: null, changes: [] });
  expect(tables.map(({ revision, state, known }) => [revision, state, [...known]])).toEqual([
    ["e.1", "current", ["jane-42"]],
    ["e.2", "stale", ["pr-7"]],
    ["e.2", "current", ["pr-7"]],
    ["", "unknown", []],
  ]);
  expect(sent).toEqual([
    { kind: "applied", number: 1, revision: "e.1" },
    { kind: "applied", number: 2, revision: "e.2" },
    { kind: "applied", number: 3, revision: "e.2" },
    { kind: "applied", number: 4, revision: null },
  ]);
  await source.stop();
});

test("changes that do not fit are kept out, and a whole table is asked for", () => {
  const { source, sent, tables, warnings } = setUp();
  const changes = [{ kind: "keys", revision: "e.2", data: "{}" } as const];
  source.take({ kind: "table", number: 2, state: "current", document: null, changes });
  expect([sent, tables]).toEqual([[{ kind: "unfit", number: 2 }], []]);
  expect(warnings[0]).toContain("kept out");
  const document = Buffer.from(JSON.stringify({ revision: "e.3", routes: 7 }));
  source.take({ kind: "table", number: 3, state: "current", document, changes: [] });
  expect([sent.at(-1), tables]).toEqual([{ kind: "unfit", number: 3 }, []]);
});

test("a flush is answered when what was held at its beginning has left, batch by batch", () => {
  const { source, kinds, hops } = setUp();
  hops.lines.push("1\n", "2\n", "3\n");
  source.take({ kind: "flush", id: "f1" });
  expect(kinds()).toEqual(["hops"]);
  hops.lines.push("4\n");
  source.take({ kind: "settled" });
  expect(kinds()).toEqual(["flushed", "hops"]);
  expect(hops.held).toBe(1);
  source.take({ kind: "flush", id: "f2" });
  source.take({ kind: "settled" });
  source.take({ kind: "flush", id: "f3" });
  expect(kinds()).toEqual(["flushed", "flushed"]);
  // A message too many settles nothing.
  source.take({ kind: "settled" });
  expect(kinds()).toEqual([]);
});

test("a stop hands over all that is held behind the batch that is out, and the last figures", async () => {
  const { source, sent, kinds, hops, observations } = setUp();
  hops.lines.push("1\n", "2\n");
  source.take({ kind: "flush", id: "f1" });
  expect(kinds()).toEqual(["hops"]);
  hops.lines.push("3\n");
  hops.dropped = { "jane-42": 4 };
  observations.lines.push("seen\n");
  await source.stop();
  expect(sent).toMatchObject([
    { kind: "observations", lines: "seen\n" },
    { kind: "hops", lines: "3\n", count: 1, dropped: { "jane-42": 4 } },
    { kind: "figures", number: null },
  ]);
  expect([hops.held, observations.lines]).toEqual([0, []]);
  // What comes of the first batch now concerns nobody here.
  source.take({ kind: "settled" });
  expect(sent).toHaveLength(3);
});

test("a flush is answered when no observation is held any more, and those left out are told", () => {
  const { source, sent, observations } = setUp();
  observations.lines.push("1\n", "2\n");
  observations.takenAtOnce = 1;
  source.take({ kind: "flush", id: "f1" });
  observations.dropped = 7;
  source.take({ kind: "flush", id: "f2" });
  source.take({ kind: "flush", id: "f3" });
  expect(sent).toEqual([
    { kind: "observations", lines: "1\n", dropped: 0 },
    { kind: "observations", lines: "2\n", dropped: 0 },
    { kind: "flushed", id: "f1" },
    { kind: "observations", lines: "", dropped: 7 },
    { kind: "flushed", id: "f2" },
    { kind: "flushed", id: "f3" },
  ]);
});

test("figures answer their question, and name each key once, or where it was seen again", () => {
  const { source, sent, seen } = setUp();
  const ask = (number: number) => {
    source.take({ kind: "ask", number });
    const last = sent.at(-1);
    return last?.kind === "figures" ? [last.number, last.lastSeen] : null;
  };
  expect(ask(1)).toEqual([1, { "jane-42": 10 }]);
  Object.assign(seen, { "pr-7": 20 });
  expect(ask(2)).toEqual([2, { "pr-7": 20 }]);
  // Of a clock that went back, or of a long request: it was seen all the same.
  Object.assign(seen, { "jane-42": 15 });
  expect(ask(3)).toEqual([3, { "jane-42": 15 }]);
  expect(ask(4)).toEqual([4, {}]);
});
