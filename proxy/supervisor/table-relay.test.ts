import { expect, test } from "vitest";
import { asStale, parseTable, type RoutingTable, unknownTable } from "../routing/table.ts";
import type { TableMessage } from "./messages.ts";
import { TableRelay } from "./table-relay.ts";

class FakeWorker {
  readonly got: TableMessage[] = [];

  send(message: TableMessage): void {
    this.got.push(message);
  }

  get last(): TableMessage | undefined {
    return this.got.at(-1);
  }
}

function tableOf(revision: string, known: readonly string[] = []): RoutingTable {
  const table = parseTable({ revision, routes: {}, known }, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  return table.value;
}

function textOf(message: TableMessage | undefined): string {
  return Buffer.from(message?.document ?? []).toString();
}

test("nobody is sent anything before there is a table; then all are, and who comes late", () => {
  const relay = new TableRelay();
  const [early, late] = [new FakeWorker(), new FakeWorker()];
  relay.add(early);
  expect([relay.hasTable, early.got]).toEqual([false, []]);
  relay.take(tableOf("e.1", ["jane-42"]), null);
  relay.add(late);
  for (const worker of [early, late]) {
    expect(worker.last).toMatchObject({ number: 1, state: "current" });
    expect(JSON.parse(textOf(worker.last))).toMatchObject({ revision: "e.1", known: ["jane-42"] });
  }
});

test("one table is under way to a worker; the newest follows, those between are left out", () => {
  const relay = new TableRelay();
  const worker = new FakeWorker();
  relay.add(worker);
  for (const revision of ["e.1", "e.2", "e.3"]) relay.take(tableOf(revision), null);
  expect(worker.got.map(({ number }) => number)).toEqual([1]);
  relay.applied(worker, 1, "e.1");
  expect(worker.got.map(({ number }) => number)).toEqual([1, 3]);
  expect(relay.revisionOf(worker)).toBe("e.1");
  relay.applied(worker, 1, "e.1");
  expect(relay.revisionOf(worker)).toBe("e.1");
  relay.applied(worker, 3, "e.3");
  expect([relay.revisionOf(worker), worker.got.length]).toEqual(["e.3", 2]);
});

test("a table is applied when the slowest worker has it", () => {
  const relay = new TableRelay();
  const [a, b] = [new FakeWorker(), new FakeWorker()];
  for (const worker of [a, b]) relay.add(worker);
  relay.take(tableOf("e.1"), null);
  relay.applied(a, 1, "e.1");
  relay.applied(b, 1, "e.1");
  expect([relay.isApplied, relay.revisions]).toEqual([true, ["e.1", "e.1"]]);
  relay.take(tableOf("e.2"), null);
  relay.applied(a, 2, "e.2");
  expect([relay.isApplied, relay.revisions]).toEqual([false, ["e.2", "e.1"]]);
  relay.remove(b);
  expect(relay.isApplied).toBe(true);
});

test("a worker counts from its first table on, whether that is known or not", () => {
  const relay = new TableRelay();
  const [a, b] = [new FakeWorker(), new FakeWorker()];
  for (const worker of [a, b]) relay.add(worker);
  relay.take(unknownTable(["shop/cart"]), null);
  expect([relay.isApplied, relay.revisions]).toEqual([false, []]);
  relay.applied(a, 1, null);
  expect([relay.isApplied, relay.revisions]).toEqual([true, [null]]);
});

test("who cannot read a whole table gets the next one, and not the same again", () => {
  const relay = new TableRelay();
  const worker = new FakeWorker();
  relay.add(worker);
  relay.take(tableOf("e.1"), null);
  relay.unfit(worker, 1);
  expect(worker.got.map(({ number }) => number)).toEqual([1]);
  expect(relay.isApplied).toBe(false);
  relay.take(tableOf("e.2"), change(2));
  expect(worker.got.map(({ number }) => number)).toEqual([1, 2]);
  expect(textOf(worker.last)).toContain("e.2");
});

test("only its state is sent of a table that the worker has", () => {
  const relay = new TableRelay();
  const worker = new FakeWorker();
  relay.add(worker);
  const table = tableOf("e.1");
  relay.take(table, null);
  relay.applied(worker, 1, "e.1");
  relay.take(asStale(table), "state");
  const bare = { kind: "table", document: null, changes: [] };
  expect(worker.last).toEqual({ ...bare, number: 2, state: "stale" });
  relay.applied(worker, 2, "e.1");
  relay.take(unknownTable(["shop/cart"]), null);
  expect(worker.last).toEqual({ ...bare, number: 3, state: "unknown" });
  // What comes after none is whole.
  relay.applied(worker, 3, null);
  relay.take(table, null);
  expect(textOf(worker.last)).toContain("e.1");
});

function change(version: number, data = "{}") {
  return { kind: "keys", revision: `e.${version}`, data } as const;
}

test("changes are passed on as they are, all that a worker missed, in their order", () => {
  const relay = new TableRelay();
  const worker = new FakeWorker();
  relay.add(worker);
  relay.take(tableOf("e.1"), null);
  relay.take(tableOf("e.2"), change(2));
  relay.take(asStale(tableOf("e.2")), "state");
  relay.take(tableOf("e.3"), change(3));
  relay.applied(worker, 1, "e.1");
  const bare = { kind: "table", document: null };
  const changes = [change(2), change(3)];
  expect(worker.last).toEqual({ ...bare, number: 4, state: "current", changes });
  relay.take(tableOf("e.4"), change(4));
  relay.applied(worker, 4, "e.3");
  expect(worker.last).toMatchObject({ number: 5, document: null, changes: [change(4)] });
});

test("a worker that lags too far, or that a change does not fit, gets the whole table", () => {
  const relay = new TableRelay();
  const worker = new FakeWorker();
  relay.add(worker);
  relay.take(tableOf("e.1"), null);
  for (let i = 2; i < 400; i++) relay.take(tableOf(`e.${i}`), change(i));
  relay.applied(worker, 1, "e.1");
  expect(textOf(worker.last)).toContain("e.399");
  relay.applied(worker, 399, "e.399");
  relay.take(tableOf("e.400"), change(400));
  relay.unfit(worker, 400);
  expect(textOf(worker.last)).toContain("e.400");
  relay.applied(worker, 400, "e.400");
  for (let i = 401; i < 405; i++) relay.take(tableOf(`e.${i}`), change(i, "x".repeat(200_000)));
  relay.applied(worker, 401, "e.401");
  expect(textOf(worker.last)).toContain("e.404");
});
