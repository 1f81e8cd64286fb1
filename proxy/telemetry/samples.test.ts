import { expect, test } from "vitest";
import { taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { Metrics } from "./metrics.ts";
import { countedOnly, expositionOf, type MetricSample, sumSamples } from "./samples.ts";

function sample(name: string, value: number, type: MetricSample["type"] = "counter"): MetricSample {
  return { name, help: "", type, values: [{ value, labels: {} }] };
}

test("the sum of several processes reads as one process that did all of it", async () => {
  const [one, other, both] = Array.from(
    { length: 3 },
    () => new Metrics({ workload: "shop/cart", readings: () => ({ connectionsOpen: 2 }) }),
  ) as [Metrics, Metrics, Metrics];
  for (const exchange of [untaggedExchange(), taggedExchange({ fault: "upstream-closed" })]) {
    for (const metrics of [one, both]) metrics.finished(exchange);
  }
  for (const exchange of [untaggedExchange(), taggedExchange({ attempt: 2 })]) {
    for (const metrics of [other, both]) metrics.finished(exchange);
  }
  const linesOf = async (samples: readonly MetricSample[]) =>
    (await expositionOf(samples)).text
      .split("\n")
      .filter((line) => line.startsWith("forklane_") && !line.includes("downstream_connections"));
  const summed = sumSamples([one.samples(), other.samples()]);
  expect((await linesOf(summed)).toSorted()).toEqual((await linesOf(both.samples())).toSorted());
  expect((await expositionOf(summed)).text).toContain("forklane_downstream_connections 4");
});

test("series that only one process has are kept, and a start is the earliest", () => {
  const start = "process_start_time_seconds";
  const sum = sumSamples([
    [sample("a", 1), sample(start, 30)],
    [sample("b", 2), sample(start, 20)],
  ]);
  expect(sum.map(({ name, values }) => [name, values[0]?.value])).toEqual([
    ["a", 1],
    [start, 20],
    ["b", 2],
  ]);
});

test("of a process that is gone remains what it counted", () => {
  const left = countedOnly([sample("a", 1), sample("b", 2, "gauge"), sample("c", 3, "histogram")]);
  expect(left.map(({ name }) => name)).toEqual(["a", "c"]);
});
