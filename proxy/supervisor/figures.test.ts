import { expect, test } from "vitest";
import { WorkerFigures } from "./figures.ts";
import type { Figures, ToWorker } from "./messages.ts";

class FakeWorker {
  readonly got: ToWorker[] = [];

  send(message: ToWorker): void {
    this.got.push(message);
  }

  /** Number of the question asked last. */
  get asked(): number {
    const last = this.got.at(-1);
    return last?.kind === "ask" ? last.number : 0;
  }
}

function figuresOf(count: number, lastSeen: Readonly<Record<string, number>> = {}): Figures {
  const values = [{ value: count, labels: {} }];
  return {
    counters: { exchanges: count },
    lastSeen,
    metrics: [
      { name: "counted", help: "", type: "counter", values },
      { name: "held", help: "", type: "gauge", values },
    ],
  };
}

async function valuesOf(metrics: ReturnType<WorkerFigures["metrics"]>): Promise<unknown> {
  return Object.fromEntries((await metrics).map((it) => [it.name, it.values[0]?.value]));
}

test("counters of a worker that is gone stay, what it held goes", async () => {
  const figures = new WorkerFigures();
  const [a, b] = [new FakeWorker(), new FakeWorker()];
  for (const worker of [a, b]) figures.add(worker);
  figures.take(a, figuresOf(3), null);
  figures.take(b, figuresOf(4), null);
  figures.remove(a);
  expect(figures.counters()).toEqual({ exchanges: 7 });
  const metrics = figures.metrics([]);
  figures.take(b, figuresOf(5), b.asked);
  expect(await valuesOf(metrics)).toEqual({ counted: 8, held: 5 });
  figures.take(a, figuresOf(100), null);
  expect(figures.counters()).toEqual({ exchanges: 8 });
});

test("a scrape does not wait for ever: who does not answer counts with what it said last", async () => {
  const figures = new WorkerFigures();
  const [a, silent] = [new FakeWorker(), new FakeWorker()];
  for (const worker of [a, silent]) figures.add(worker);
  figures.take(silent, figuresOf(2), null);
  const metrics = figures.metrics([]);
  figures.take(a, figuresOf(1), a.asked);
  expect(await valuesOf(metrics)).toEqual({ counted: 3, held: 3 });
});

test("scrapes that come together ask once, and a worker that ends is not waited for", async () => {
  const figures = new WorkerFigures();
  const worker = new FakeWorker();
  figures.add(worker);
  const both = [figures.metrics([]), figures.metrics([])];
  expect(worker.got.length).toBe(1);
  figures.remove(worker);
  await Promise.all(both);
});

test("a key was last seen when the last of the workers saw it", () => {
  const figures = new WorkerFigures();
  const [a, b] = [new FakeWorker(), new FakeWorker()];
  for (const worker of [a, b]) figures.add(worker);
  figures.take(a, figuresOf(1, { "jane-42": 20, "pr-7": 5 }), null);
  figures.take(b, figuresOf(1, { "jane-42": 10 }), null);
  expect(figures.lastSeen()).toEqual({ "jane-42": 20, "pr-7": 5 });
});
