import { describe, expect, test } from "vitest";
import { OBSERVATIONS_MAX } from "../telemetry/observations.ts";
import { EvidenceRelay } from "./evidence-relay.ts";
import type { ToWorker } from "./messages.ts";

class FakeWorker {
  readonly got: ToWorker[] = [];

  send(message: ToWorker): void {
    this.got.push(message);
  }
}

function setUp(count = 2, leftBytesMax?: number) {
  let nowMs = 0;
  const relay = new EvidenceRelay(() => nowMs, leftBytesMax);
  const workers = Array.from({ length: count }, () => new FakeWorker());
  for (const worker of workers) relay.add(worker);
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return { relay, workers, advance, [Symbol.iterator]: () => workers[Symbol.iterator]() };
}

const batch = (lines: string, dropped: Record<string, number> = {}) => ({
  lines,
  count: lines.split("\n").length - 1,
  dropped,
});

const recordsOf = (keys: readonly string[], dropped: Record<string, number> = {}) =>
  batch(keys.map((key) => `${JSON.stringify({ key })}\n`).join(""), dropped);

describe("hop records", () => {
  test("of each worker go to control in turn, and it is told what became of them", () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    const { hops } = relay;
    hops.hand(a, batch("1\n2\n", { "jane-42": 3 }));
    hops.hand(b, batch("3\n"));
    expect(hops.held).toBe(3);
    const first = hops.take();
    expect(first).toEqual({ lines: "1\n2\n", count: 2, dropped: { "jane-42": 3 } });
    expect(hops.take()).toBeNull();
    expect(hops.hasMore).toBe(true);
    if (first !== null) hops.giveBack(first);
    expect([a.got, hops.held]).toEqual([[], 3]);
    const again = hops.take();
    expect(again).toEqual(first);
    if (again !== null) hops.confirm(again);
    const second = hops.take();
    expect(second?.lines).toBe("3\n");
    expect(hops.hasMore).toBe(false);
    if (second !== null) hops.confirm(second);
    expect([a.got, b.got]).toEqual([[{ kind: "settled" }], [{ kind: "settled" }]]);
    expect([hops.take(), hops.held]).toEqual([null, 0]);
  });

  test("that control refuses count as dropped, whether their worker is still there or not", () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    relay.hops.hand(a, recordsOf(["jane-42", "pr-7"], { "jane-42": 4 }));
    relay.hops.hand(b, recordsOf(["pr-7"]));
    relay.remove(a, true);
    for (const _ of workers) {
      const taken = relay.hops.take();
      if (taken !== null) relay.hops.discard(taken);
    }
    expect([a.got, b.got]).toEqual([[], [{ kind: "settled" }]]);
    expect(relay.hops.take()).toEqual({
      lines: "",
      count: 0,
      dropped: { "jane-42": 5, "pr-7": 2 },
    });
    expect(relay.hops.droppedTotal).toBe(3);
  });

  test("that a worker leaves when it stops are sent in their order, and it hears of the first only", () => {
    const { relay, workers } = setUp(1);
    const [a] = workers as [FakeWorker];
    for (const lines of ["1\n", "2\n", "3\n"]) relay.hops.hand(a, batch(lines));
    const sent: string[] = [];
    for (let taken = relay.hops.take(); taken !== null; taken = relay.hops.take()) {
      sent.push(taken.lines);
      relay.hops.confirm(taken);
    }
    expect([sent, a.got]).toEqual([["1\n", "2\n", "3\n"], [{ kind: "settled" }]]);
  });

  test("that workers left have a bound: the oldest count as dropped, never what is out", () => {
    const one = recordsOf(["jane-42"]);
    const { relay } = setUp(0, 2 * one.lines.length);
    const leave = (key: string) => {
      const worker = new FakeWorker();
      relay.add(worker);
      relay.hops.hand(worker, recordsOf([key]));
      relay.remove(worker, true);
    };
    leave("first-1");
    const first = relay.hops.take();
    for (const key of ["jane-42", "jane-42", "pr-7777"]) leave(key);
    const empty = new FakeWorker();
    relay.add(empty);
    relay.hops.hand(empty, batch("", { "bob-7": 3 }));
    relay.remove(empty, true);
    expect(relay.hops.held).toBe(2);
    if (first !== null) relay.hops.confirm(first);
    const second = relay.hops.take();
    expect(second).toEqual({ ...recordsOf(["pr-7777"]), dropped: { "jane-42": 2, "bob-7": 3 } });
    if (second !== null) relay.hops.confirm(second);
    expect(relay.hops.take()).toBeNull();
  });

  test("that workers left are held up to 10 MiB", () => {
    const { relay } = setUp(0);
    const record = `${JSON.stringify({ key: "jane-42", path: "x".repeat(4 * 1024 * 1024) })}\n`;
    for (const held of [1, 2, 2]) {
      const worker = new FakeWorker();
      relay.add(worker);
      relay.hops.hand(worker, batch(record));
      relay.remove(worker, true);
      expect(relay.hops.held).toBe(held);
    }
    expect(relay.hops.droppedTotal).toBe(1);
  });

  test("that a worker took with it when it crashed count as dropped, until control knows", () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    relay.remove(a, false);
    relay.remove(b, true);
    const told = relay.hops.take();
    expect(told).toEqual({ lines: "", count: 0, dropped: { "*": 1 } });
    if (told !== null) relay.hops.giveBack(told);
    relay.hops.hand(b, batch("1\n", { "*": 2 }));
    const again = relay.hops.take();
    expect(again).toEqual({ lines: "1\n", count: 1, dropped: { "*": 3 } });
    if (again !== null) relay.hops.confirm(again);
    expect(relay.hops.take()).toBeNull();
  });
});

describe("a flush", () => {
  test("is over when every worker has handed over what it held", async () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    let isOver = false;
    const over = relay.flush("f1").then(() => {
      isOver = true;
    });
    expect([a.got, b.got]).toEqual([[{ kind: "flush", id: "f1" }], [{ kind: "flush", id: "f1" }]]);
    relay.flushed(a, "f1");
    relay.flushed(a, "f1");
    relay.flushed(b, "another");
    await Promise.resolve();
    expect([isOver, relay.isFlushing]).toEqual([false, true]);
    relay.flushed(b, "f1");
    await over;
    expect(relay.isFlushing).toBe(false);
  });

  test("does not wait for a worker that is gone, which counts as dropped", async () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    const over = relay.flush("f1");
    relay.flushed(a, "f1");
    relay.remove(b, false);
    await over;
    expect(relay.hops.take()?.dropped).toEqual({ "*": 1 });
  });

  test("is over at once where there is no worker", async () => {
    await setUp(0).relay.flush("f1");
  });

  test("is given up where a hundred later ones wait for their answer", async () => {
    const { relay, workers } = setUp(1);
    const [worker] = workers as [FakeWorker];
    const over: number[] = [];
    const flushes = Array.from({ length: 101 }, (_, i) =>
      relay.flush(`f${i}`).then(() => over.push(i)),
    );
    for (let i = 0; i < 101; i++) relay.flushed(worker, `f${i}`);
    await Promise.all(flushes.slice(1));
    expect(over).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(relay.isFlushing).toBe(false);
  });
});

describe("observations", () => {
  test("are wanted of every worker, and of one that comes later for the time that is left", () => {
    const { relay, workers, advance } = setUp(1);
    relay.observations.observeFor(1_000);
    advance(400);
    const late = new FakeWorker();
    relay.add(late);
    expect(workers[0]?.got).toEqual([{ kind: "observe", forMs: 1_000 }]);
    expect(late.got).toEqual([{ kind: "observe", forMs: 600 }]);
    relay.observations.observeFor(0);
    const last = new FakeWorker();
    relay.add(last);
    expect([late.got.at(-1), last.got]).toEqual([{ kind: "observe", forMs: 0 }, []]);
  });

  test("are held up to the number that one process would, and the rest is counted", () => {
    const { relay, workers } = setUp();
    const [a, b] = workers as [FakeWorker, FakeWorker];
    relay.observations.observeFor(1_000);
    relay.observations.hand(a, "x\n".repeat(OBSERVATIONS_MAX), 5);
    relay.observations.hand(b, "y\ny\n", 1);
    relay.remove(b, true);
    expect(relay.observations.dropped).toBe(8);
    const taken = relay.observations.take(4);
    expect(taken).toEqual({ lines: "x\nx\n", count: 2 });
    relay.observations.remove(2, true);
    expect(relay.observations.take(1e9)?.count).toBe(OBSERVATIONS_MAX - 2);
    relay.observations.remove(OBSERVATIONS_MAX - 2, false);
    expect(relay.observations.dropped).toBe(OBSERVATIONS_MAX + 6);
    expect(relay.observations.take(1e9)).toBeNull();
  });

  test("that were left out are counted anew with each window", () => {
    const { relay, workers, advance } = setUp(1);
    relay.observations.observeFor(100);
    if (workers[0] !== undefined) relay.observations.hand(workers[0], "", 7);
    relay.observations.observeFor(100);
    expect(relay.observations.dropped).toBe(7);
    advance(101);
    relay.observations.observeFor(100);
    expect(relay.observations.dropped).toBe(0);
  });
});
