import { expect, test } from "vitest";
import { CLIENT_CHARS_MAX, OBSERVE_MS_MAX, type Observation } from "../../core/observation.ts";
import { DEFAULT_CARRIERS } from "../routing/carrier.ts";
import { fieldList, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { HopRecords } from "./hop-records.ts";
import { OBSERVATIONS_MAX, Observations } from "./observations.ts";

const WHO = { workload: "shop/pricing", proxy: "pricing-1", sandbox: null } as const;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

/** The exchanges of the fake end at 1,004.5 ms. */
function setUp(nowMs = 1_000) {
  const at = { ms: nowMs };
  const clock = { nowMs: () => at.ms, epochMs: () => at.ms };
  const observations = new Observations({ ...WHO, carriers: DEFAULT_CARRIERS, clock });
  const hops = new HopRecords({ ...WHO, observations });
  return { observations, hops, at };
}

function taken(observations: Observations): Observation[] {
  const lines = observations.take(1_000_000)?.lines.split("\n") ?? [];
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

test("nothing is held unless somebody asked", () => {
  const { observations, hops } = setUp();
  hops.finished(untaggedExchange());
  expect(observations.take(1_000)).toBeNull();
});

test("an untagged exchange is held with what ties it to its caller, and no value of baggage", () => {
  const { observations, hops } = setUp();
  observations.observeFor(1_000);
  const fields = fieldList([
    ["traceparent", `00-${TRACE}-b7ad6b7169203331-01`],
    ["user-agent", `axios/1.7.4\u0007${"x".repeat(200)}`],
    ["baggage", "user=secret"],
  ]);
  hops.finished(untaggedExchange({ fields }));
  const [one] = taken(observations);
  expect(one).toEqual({
    v: 1,
    kind: "observation",
    state: "other-baggage",
    timeMs: 1_700_000_000_000,
    totalMs: 4.5,
    ...WHO,
    caller: "10.0.0.7",
    method: "GET",
    client: `axios/1.7.4?${"x".repeat(CLIENT_CHARS_MAX - 12)}`,
    traceId: TRACE,
    root: null,
    parent: null,
    hop: null,
  });
  expect(hops.take(1_000)).toBeNull();
});

test("a tagged exchange that is whole is a hop record only, one that is damaged is both", () => {
  const { observations, hops } = setUp();
  observations.observeFor(1_000);
  const exchange = (baggage: string) =>
    taggedExchange({ fields: fieldList([["baggage", baggage]]) });
  hops.finished(exchange("sandbox=jane-42"));
  expect(observations.take(1_000)).toBeNull();
  const mark = "forklane-hop=00000000000000aa.00000000000000cc";
  hops.finished(exchange(`${mark},sandbox = jane-42`));
  expect(taken(observations)).toMatchObject([
    { state: "spaces", parent: "00000000000000cc", hop: "00000000000000bb" },
  ]);
  expect(hops.held).toBe(2);
});

test("a window ends by itself, when it is told to, and after five minutes at the latest", () => {
  for (const [nowMs, forMs] of [
    [900, 50],
    [1_000, 0],
    [1_000 - OBSERVE_MS_MAX, 1e12],
  ] as const) {
    const { observations, hops } = setUp(nowMs);
    observations.observeFor(1_000_000);
    observations.observeFor(forMs);
    hops.finished(untaggedExchange());
    expect(observations.take(1_000)).toBeNull();
    expect(observations.isOpen).toBe(false);
  }
});

test("one window holds only so many, and counts the others; the next one begins anew", () => {
  const { observations, hops } = setUp();
  observations.observeFor(1_000);
  for (let i = 0; i < OBSERVATIONS_MAX + 3; i++) hops.finished(untaggedExchange());
  expect(observations.dropped).toBe(3);
  observations.remove(OBSERVATIONS_MAX, true);
  hops.finished(untaggedExchange());
  expect(observations.dropped).toBe(4);
  observations.observeFor(0);
  observations.observeFor(1_000);
  hops.finished(untaggedExchange());
  expect(observations.dropped).toBe(0);
  expect(taken(observations)).toHaveLength(1);
});

test("a window that was over begins anew, also where no exchange came in between", () => {
  const { observations, hops, at } = setUp(900);
  observations.observeFor(1_000);
  for (let i = 0; i < OBSERVATIONS_MAX + 3; i++) hops.finished(untaggedExchange());
  observations.remove(OBSERVATIONS_MAX, true);
  at.ms = 1_900;
  observations.observeFor(1_000);
  expect(observations.dropped).toBe(0);
  hops.finished(untaggedExchange());
  expect(taken(observations)).toHaveLength(1);
});

test("a batch has only so many bytes, and at least one observation; what control refuses is counted", () => {
  const { observations, hops } = setUp();
  observations.observeFor(1_000);
  for (let i = 0; i < 3; i++) hops.finished(untaggedExchange());
  expect(observations.take(1)?.count).toBe(1);
  observations.remove(1, false);
  expect(observations.dropped).toBe(1);
  expect(taken(observations)).toHaveLength(2);
});
