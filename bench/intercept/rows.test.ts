import { expect, test } from "vitest";
import { interceptTargets, wayLatencyRows, wayRows } from "./rows.ts";

const sample = (proxyMicros: number, wholeMicros: number) => {
  return { proxyMicros, wholeMicros, perSecond: 1 };
};
const report = (p50: number, p99: number) => {
  return { requests: 1, p50, p90: p50, p99, p999: p99, max: p99, lateP99: 0, leftOut: 0 };
};

const ROWS = wayRows(
  "keep-alive",
  new Map([
    ["direct", [sample(0, 10), sample(0, 20)]],
    ["proxy", [sample(20, 40), sample(40, 80)]],
    ["tracked", [sample(21, 40), sample(44, 80)]],
    ["intercepted", [sample(21, 50), sample(44, 100)]],
  ]),
);
const LATENCIES = wayLatencyRows(
  1_000,
  new Map([
    ["direct", [report(10, 20)]],
    ["proxy", [report(30, 60)]],
    ["intercepted", [report(35, 62)]],
  ]),
);

test("a way is held against the plain proxy and the direct way of the same round", () => {
  expect(ROWS[3]?.toProxy?.ratio).toBeCloseTo(1.075);
  expect(ROWS[3]?.toDirect.ratio).toBeCloseTo(5);
  expect(ROWS[0]).toMatchObject({ way: "direct", toProxy: null, proxyMicros: 0 });
  expect(LATENCIES[2]).toMatchObject({ addedP50: 25, addedP99: 42 });
});

test("interception costs no more than the proxy does, or it is said", () => {
  expect(interceptTargets(ROWS, LATENCIES)).toMatchObject([
    { what: "keep-alive: CPU of the proxy, intercepted to proxy", met: false },
    { what: "keep-alive: CPU of the proxy, intercepted to tracked", value: 1, met: true },
    { what: "added p99, intercepted to proxy", value: 1.05, met: true },
  ]);
});
