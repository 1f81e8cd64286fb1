import { expect, test } from "vitest";
import { recordOf } from "../control.fake.ts";
import { buildHops } from "./trace.ts";

const ENTRY = "00000000000000e0";
const LEFT = "00000000000000a1";
const RIGHT = "00000000000000a2";
const BELOW = "00000000000000b1";

const entry = recordOf({
  hop: ENTRY,
  workload: "shop/web",
  proxy: "web-1",
  outcome: "baseline",
  reason: "not-forked",
  timeMs: 1_000,
});
const atBaseline = recordOf({ hop: LEFT, parent: ENTRY, timeMs: 2_000 });
const atFork = recordOf({
  hop: LEFT,
  proxy: "cart-fork-1",
  sandbox: "jane-42",
  endpoint: "127.0.0.1:9002",
  timeMs: 2_001,
});

function build(...records: Parameters<typeof buildHops>[0][number][]) {
  const { hops, incomplete } = buildHops(records, () => "from-table");
  return { hops, codes: incomplete.map((each) => each.code) };
}

test("the baseline's record decides, and the fork's record of the same hop proves that it got it", () => {
  for (const order of [
    [entry, atBaseline, atFork],
    [atFork, atBaseline, entry],
  ]) {
    const { hops, codes } = build(...order);
    expect(codes).toEqual([]);
    expect(hops).toMatchObject([
      { workload: "shop/web", depth: 0, outcome: "baseline", sandbox: null, confirmed: false },
      {
        workload: "shop/cart",
        depth: 1,
        outcome: "fork",
        sandbox: "jane-42",
        proxy: "cart-1",
        forkProxy: "cart-fork-1",
        confirmed: true,
      },
    ]);
  }
});

test("without a proxy at the fork the hop is not confirmed, and the table names the sandbox", () => {
  expect(build(entry, atBaseline).hops[1]).toMatchObject({
    sandbox: "from-table",
    forkProxy: null,
    confirmed: false,
  });
});

test("a fork's proxy that refused does not confirm", () => {
  const refused = { ...atFork, outcome: "refused", reason: "wrong-fork", status: 421 } as const;
  expect(build(entry, atBaseline, refused).hops[1]).toMatchObject({
    outcome: "fork",
    forkProxy: "cart-fork-1",
    confirmed: false,
  });
});

test("the caller's outbound proxy and the callee's are one hop, and the callee decides", () => {
  const outbound = {
    ...atBaseline,
    mode: "outbound",
    proxy: "web-out",
    outcome: "baseline",
    reason: "table-unknown",
  } as const;
  const { hops } = build(entry, outbound, atBaseline);
  expect(hops).toHaveLength(2);
  expect(hops[1]).toMatchObject({ proxy: "cart-1", outcome: "fork" });
});

test("a caller's outbound proxy next to a fork of its own decides before the callee's fork", () => {
  const outbound = { ...atBaseline, mode: "outbound", proxy: "web-out", sandbox: "web" } as const;
  const healed = { ...outbound, healed: "affinity" } as const;
  const { hops, codes } = build(entry, atFork, healed);
  expect(codes).toEqual([]);
  expect(hops[1]).toMatchObject({ proxy: "web-out", confirmed: true, healed: "affinity" });
});

test("parallel calls to the same workload stay apart, each with what it caused", () => {
  const right = recordOf({ hop: RIGHT, parent: ENTRY, timeMs: 2_000, outcome: "baseline" });
  const below = recordOf({ hop: BELOW, parent: RIGHT, workload: "shop/pricing", timeMs: 1_500 });
  const { hops, codes } = build(below, right, atBaseline, entry);
  expect(codes).toEqual([]);
  expect(hops.map(({ hop, depth }) => [hop, depth])).toEqual([
    [ENTRY, 0],
    [RIGHT, 1],
    [BELOW, 2],
    [LEFT, 1],
  ]);
});

test("of a call that came twice the last one counts", () => {
  const again = { ...atBaseline, timeMs: 2_500, outcome: "refused", status: 503 } as const;
  for (const records of [
    [entry, atBaseline, again],
    [entry, again, atBaseline],
  ]) {
    const { hops, codes } = build(...records);
    expect(codes).toEqual([]);
    expect(hops.map(({ status }) => status)).toEqual([200, 503]);
  }
});

test("a hop whose parent is not recorded is shown, and said", () => {
  const { hops, codes } = build(entry, recordOf({ hop: BELOW, parent: RIGHT }));
  expect(codes).toEqual(["parent-missing"]);
  expect(hops.map(({ depth }) => depth)).toEqual([0, 0]);
});

test("a fork's record beside an entry misses the baseline's", () => {
  expect(build(entry, atFork).codes).toEqual(["parent-missing"]);
});

test("a fork that was called directly is an entry like any other", () => {
  expect(build(atFork)).toMatchObject({ codes: [], hops: [{ depth: 0, confirmed: true }] });
});

test("two workloads that claim one hop are both shown, and said", () => {
  const other = { ...atBaseline, workload: "shop/pricing" };
  const { hops, codes } = build(entry, atBaseline, other);
  expect(codes).toEqual(["hop-ambiguous"]);
  expect(hops).toHaveLength(3);
});

test("hops that name one another as parents are all shown, once", () => {
  const a = recordOf({ hop: LEFT, parent: RIGHT });
  const b = recordOf({ hop: RIGHT, parent: LEFT });
  const self = recordOf({ hop: BELOW, parent: BELOW });
  expect(build(a, b, self).hops).toHaveLength(3);
});

test("a time that is no date does not break the trace", () => {
  expect(build({ ...entry, timeMs: Number.MAX_VALUE }).hops[0]?.at).toBe(
    "1970-01-01T00:00:00.000Z",
  );
});
