import { expect, test } from "vitest";
import type { Observation } from "../../../core/observation.ts";
import type { JudgedHop, PropagationEvidence } from "./evidence.ts";
import { judgePropagation } from "./judge-propagation.ts";

const TRACE = "a".repeat(32);
const START_MS = 1_700_000_000_000;

/** One request: web 0..20 calls cart 2..12, and cart calls stock 4..6. */
const WEB = hop({ hop: "1", workload: "shop/web", timeMs: START_MS, totalMs: 20 });
const CART = hop({
  hop: "2",
  parent: "1",
  workload: "shop/cart",
  timeMs: START_MS + 2,
  totalMs: 10,
});
const STOCK = hop({
  hop: "3",
  parent: "2",
  workload: "shop/stock",
  timeMs: START_MS + 4,
  totalMs: 2,
});
const TO_PRICING = { from: "shop/cart", to: "shop/pricing" };

function hop({ hop, parent, ...changes }: Partial<JudgedHop>): JudgedHop {
  return {
    root: id("a"),
    hop: id(hop ?? "0"),
    parent: parent == null ? null : id(parent),
    mode: "inbound",
    timeMs: START_MS,
    totalMs: 1,
    caller: "127.0.0.1",
    workload: "shop/cart",
    sandbox: null,
    tag: "jane-42.base!",
    traceId: TRACE,
    ...changes,
  };
}

/** Pricing, called by cart 5..8 with the same trace id and without the tag. */
function seen(changes: Partial<Observation> = {}): Observation {
  return {
    v: 1,
    kind: "observation",
    state: "absent",
    timeMs: START_MS + 5,
    totalMs: 3,
    workload: "shop/pricing",
    proxy: "pricing-1",
    sandbox: null,
    caller: "127.0.0.1",
    method: "GET",
    client: "axios/1.7.4",
    traceId: TRACE,
    root: null,
    parent: null,
    hop: null,
    ...changes,
  };
}

function id(text: string): string {
  return text.padStart(16, "0");
}

function evidence(changes: Partial<PropagationEvidence> = {}): PropagationEvidence {
  return {
    roots: [id("a")],
    hops: [WEB, CART, STOCK],
    observations: [],
    expected: [],
    places: [],
    observed: ["shop/web", "shop/cart", "shop/stock", "shop/pricing"],
    observedMs: 3_000,
    gaps: [],
    ...changes,
  };
}

/** The same request again and again, 200 ms apart, each with a call that no trace ties to it. */
function repeated(
  times: number,
  calls: readonly Observation[],
  request: readonly JudgedHop[] = [WEB, CART, STOCK],
): Partial<PropagationEvidence> {
  const all = Array.from({ length: times }, (_, i) => i);
  const moved = <T extends { timeMs: number }>(one: T, i: number) => ({
    ...one,
    timeMs: one.timeMs + i * 200,
  });
  const traceOf = (i: number) => i.toString(16).padStart(32, "f");
  const rootOf = (i: number) => id(`a${i}`);
  return {
    roots: all.map(rootOf),
    hops: all.flatMap((i) =>
      request.map((one) => ({ ...moved(one, i), root: rootOf(i), traceId: traceOf(i) })),
    ),
    observations: all.flatMap((i) => calls.map((one) => moved(one, i))),
  };
}

const STRANGER = { traceId: null };

test("a tag that arrives everywhere is healthy, and each edge propagates", () => {
  const verdict = judgePropagation(evidence());
  expect(verdict).toMatchObject({ verdict: "healthy", requests: 1, findings: [], incomplete: [] });
  expect(verdict.edges).toEqual([
    { from: "shop/cart", to: "shop/stock", state: "propagates", arrived: 1, lost: 0 },
    { from: "shop/web", to: "shop/cart", state: "propagates", arrived: 1, lost: 0 },
  ]);
});

test("R2: the same trace id without the tag is a loss at its known caller, with its client", () => {
  const verdict = judgePropagation(evidence({ observations: [seen()], expected: [TO_PRICING] }));
  expect(verdict.findings).toMatchObject([
    {
      from: ["shop/cart"],
      to: "shop/pricing",
      state: "drops-baggage",
      class: "baggage-propagator-missing",
      rule: "R2",
      confidence: "confirmed",
      seen: 1,
      of: 1,
      client: "axios/1.7.4",
      fix: expect.stringMatching(/OTEL_PROPAGATORS.*axios/),
    },
  ]);
  expect(verdict.edges).toContainEqual({
    ...TO_PRICING,
    state: "drops-baggage",
    arrived: 0,
    lost: 1,
  });
});

test("R2: where only the time speaks for the caller it is probable, not confirmed", () => {
  const { findings } = judgePropagation(evidence({ observations: [seen()] }));
  expect(findings).toMatchObject([{ from: ["shop/cart"], rule: "R2", confidence: "probable" }]);
});

test("R2: a quick callee beside the lost one does not hide the caller of both", () => {
  const quick = { ...STOCK, timeMs: START_MS + 5, totalMs: 3.1 };
  const { findings } = judgePropagation(
    evidence({ hops: [WEB, CART, quick], observations: [seen()] }),
  );
  expect(findings).toMatchObject([{ to: "shop/pricing", confidence: "probable" }]);
  expect(findings[0]?.from).toContain("shop/cart");
});

/** As in pods. */
const PLACES = [
  { address: "10.0.0.1", workload: "shop/web", sandboxes: [] },
  { address: "10.0.0.2", workload: "shop/cart", sandboxes: [] },
];
const FROM_WEB = { caller: "10.0.0.1" };
const FROM_CART = { caller: "10.0.0.2" };
const AT_CART = { from: ["shop/cart"], to: "shop/pricing" };

test("R2: an address of its own names the caller", () => {
  const { findings } = judgePropagation(
    evidence({ observations: [seen(FROM_WEB)], places: PLACES }),
  );
  expect(findings).toMatchObject([{ from: ["shop/web"], confidence: "confirmed" }]);
});

test("R2: a call that outlives its caller is lost there, by its address or by its known caller", () => {
  const outliving = { timeMs: START_MS + 8, totalMs: 30 };
  const byEdge = { observations: [seen(outliving)], expected: [TO_PRICING] };
  const byAddress = { observations: [seen({ ...outliving, ...FROM_CART })], places: PLACES };
  for (const changes of [byEdge, byAddress]) {
    expect(judgePropagation(evidence(changes)).findings).toMatchObject([
      { ...AT_CART, rule: "R2", class: "baggage-propagator-missing", confidence: "confirmed" },
    ]);
  }
});

test("R2: where nothing names the caller and no time fits, it may be any of them", () => {
  const observations = [seen({ timeMs: START_MS - 10 })];
  const { findings } = judgePropagation(evidence({ observations }));
  expect(findings).toMatchObject([{ to: "shop/pricing", rule: "R2", confidence: "suspected" }]);
  expect(findings[0]?.from).toEqual(["shop/cart", "shop/stock", "shop/web"]);
});

test("R2: a clock that is behind or ahead hides no loss, and makes it no other one", () => {
  for (const skewMs of [-10, 10]) {
    const timeMs = START_MS + 5 + skewMs;
    const judge = (changes: Partial<PropagationEvidence>) =>
      judgePropagation(evidence(changes)).findings;
    const found = { ...AT_CART, rule: "R2", class: "baggage-propagator-missing" };
    expect(judge({ observations: [seen({ timeMs, ...FROM_CART })], places: PLACES })).toMatchObject(
      [{ ...found, confidence: "confirmed" }],
    );
    const elsewhere = seen({ timeMs, caller: "192.0.2.1" });
    expect(judge({ observations: [elsewhere], expected: [TO_PRICING] })).toMatchObject([
      { ...found, confidence: "probable" },
    ]);
  }
});

test("R2: of two known callers the one whose tag did not arrive is probable", () => {
  const pricing = hop({ hop: "5", parent: "1", workload: "shop/pricing", timeMs: START_MS + 14 });
  const expected = [TO_PRICING, { from: "shop/web", to: "shop/pricing" }];
  const { findings } = judgePropagation(
    evidence({ hops: [WEB, CART, STOCK, pricing], observations: [seen()], expected }),
  );
  expect(findings).toMatchObject([{ ...AT_CART, rule: "R2", confidence: "probable" }]);
});

test("R2: a call by a service that no tag reached is inconclusive, and says so", () => {
  const places = [...PLACES, { address: "10.0.0.7", workload: "shop/worker", sandboxes: [] }];
  const observations = [seen({ caller: "10.0.0.7" })];
  const verdict = judgePropagation(evidence({ observations, places }));
  expect(verdict).toMatchObject({ verdict: "inconclusive", findings: [] });
  expect(verdict.incomplete).toEqual([expect.stringContaining("by shop/worker")]);
  const byFork = { observations: [seen({ caller: FORK.address })], places: [FORK] };
  const { incomplete } = judgePropagation(evidence(byFork));
  expect(incomplete).toEqual([expect.stringContaining("by a fork of shop/cart")]);
});

test("R2: calls that seem to have made each other are not passed over", () => {
  const expected = [
    { from: "shop/tax", to: "shop/pricing" },
    { from: "shop/rates", to: "shop/tax" },
    { from: "shop/pricing", to: "shop/rates" },
  ];
  const observations = [
    seen(),
    seen({ workload: "shop/tax", timeMs: START_MS + 6, totalMs: 1 }),
    seen({ workload: "shop/rates", timeMs: START_MS + 7, totalMs: 0.5 }),
  ];
  expect(judgePropagation(evidence({ observations, expected })).verdict).toBe("inconclusive");
});

/** The client's own request, once more and untagged, with what it makes. */
function again(afterMs: number): Observation[] {
  const at = (workload: string, ms: number, totalMs: number, caller: string) =>
    seen({ workload, timeMs: START_MS + afterMs + ms, totalMs, caller });
  return [
    at("shop/web", 0, 15, "192.0.2.9"),
    at("shop/cart", 2, 9, "10.0.0.1"),
    at("shop/stock", 4, 2, "10.0.0.2"),
  ];
}

test("a trace id that came untagged before its tagged request is a note", () => {
  const verdict = judgePropagation(evidence({ observations: again(-200), places: PLACES }));
  expect(verdict).toMatchObject({ verdict: "healthy", findings: [] });
  expect(verdict.notes).toEqual([expect.stringContaining("shop/web was called without the tag")]);
});

test("a trace id that comes to the entry once more blames nobody, and is inconclusive", () => {
  for (const places of [PLACES, []]) {
    const verdict = judgePropagation(evidence({ observations: again(100), places }));
    expect(verdict).toMatchObject({ verdict: "inconclusive", findings: [] });
    expect(verdict.incomplete).toEqual([expect.stringContaining("shop/web was called")]);
  }
});

test("a call back to the entry from a service's own address is lost there", () => {
  const observations = [seen({ workload: "shop/web", ...FROM_CART })];
  expect(judgePropagation(evidence({ observations, places: PLACES })).findings).toMatchObject([
    { from: ["shop/cart"], to: "shop/web", rule: "R2", confidence: "confirmed" },
  ]);
});

test("R2: a trace id of nobody's is no loss", () => {
  const observations = [seen({ traceId: "b".repeat(32) })];
  expect(judgePropagation(evidence({ observations })).findings).toEqual([]);
});

test("what is called by a call that had lost its tag is no second loss", () => {
  const tax = seen({ workload: "shop/tax", timeMs: START_MS + 6, totalMs: 1 });
  const { findings } = judgePropagation(
    evidence({ observations: [tax, seen()], expected: [TO_PRICING] }),
  );
  expect(findings.map((finding) => finding.to)).toEqual(["shop/pricing"]);
});

test("a service that made its own baggage has overwritten the tag", () => {
  const observations = [seen({ state: "other-baggage" })];
  const { findings } = judgePropagation(evidence({ observations, expected: [TO_PRICING] }));
  expect(findings).toMatchObject([{ state: "mangles", class: "baggage-overwritten", rule: "R2" }]);
});

const FORK = { address: "10.0.0.9", workload: "shop/cart", sandboxes: ["jane-42"] };
const BY_FORK = { ...STRANGER, caller: FORK.address };
const AT_FORK = [WEB, { ...CART, sandbox: "jane-42" }, STOCK];

test("R3: a call from a fork's address while it served a tagged request is confirmed", () => {
  const observations = [seen(BY_FORK)];
  const { findings } = judgePropagation(evidence({ hops: AT_FORK, observations, places: [FORK] }));
  expect(findings).toMatchObject([{ ...AT_CART, rule: "R3", confidence: "confirmed", seen: 1 }]);
});

test("R3: what a fork calls while requests are at the baseline, or at no one, is a note", () => {
  const other = [WEB, { ...CART, sandbox: "mark-7" }, STOCK];
  const later = seen({ ...BY_FORK, timeMs: START_MS + 500 });
  for (const [hops, call] of [
    [[WEB, CART, STOCK], seen(BY_FORK)],
    [other, seen(BY_FORK)],
    [AT_FORK, later],
  ] as const) {
    const verdict = judgePropagation(evidence({ hops, observations: [call], places: [FORK] }));
    expect(verdict).toMatchObject({ verdict: "healthy", findings: [] });
    expect(verdict.notes).toEqual([expect.stringContaining("the fork of shop/cart (jane-42)")]);
  }
});

test("R3: the proxy of a caller that is a fork does not make the callee one", () => {
  const atCaller = hop({ ...CART, hop: "2", parent: "1", mode: "outbound", sandbox: "jane-42" });
  const verdict = judgePropagation(
    evidence({ hops: [WEB, CART, STOCK, atCaller], observations: [seen(BY_FORK)], places: [FORK] }),
  );
  expect(verdict.findings).toEqual([]);
});

test("R3: calls that a fork makes all the time, during requests too, are inconclusive", () => {
  const polls = Array.from({ length: 300 }, (_, i) =>
    seen({ ...BY_FORK, timeMs: START_MS + i * 9, totalMs: 1 }),
  );
  const verdict = judgePropagation(
    evidence({ hops: AT_FORK, observations: polls, places: [FORK] }),
  );
  expect(verdict).toMatchObject({ verdict: "inconclusive", findings: [] });
});

test("R3: a call that another clock puts beside the request at the fork is inconclusive", () => {
  const observations = [seen({ ...BY_FORK, timeMs: START_MS + 50 })];
  const verdict = judgePropagation(evidence({ hops: AT_FORK, observations, places: [FORK] }));
  expect(verdict).toMatchObject({ verdict: "inconclusive", findings: [] });
});

test("R3: calls that come with each request, and seldom else, are probable", () => {
  const { observations = [], ...more } = repeated(5, [seen(BY_FORK)], AT_FORK);
  const other = seen({ ...BY_FORK, timeMs: START_MS + 2_000 });
  const { findings } = judgePropagation(
    evidence({ ...more, observations: [...observations, other], places: [FORK] }),
  );
  expect(findings).toMatchObject([{ ...AT_CART, rule: "R3", confidence: "probable", seen: 5 }]);
});

test("R3: a call from a baseline's address is no loss by itself", () => {
  const observations = [seen({ ...STRANGER, ...FROM_CART })];
  expect(judgePropagation(evidence({ observations, places: PLACES })).findings).toEqual([]);
});

test("R4: calls that come with each request and else never are a loss", () => {
  const more = { ...repeated(5, [seen(STRANGER)]), expected: [TO_PRICING] };
  expect(judgePropagation(evidence(more)).findings).toMatchObject([
    {
      from: ["shop/cart"],
      state: "drops-all",
      class: "headers-not-forwarded",
      rule: "R4",
      confidence: "probable",
      seen: 5,
      of: 5,
    },
  ]);
});

test("R4: where nobody is known to call it, the loss is suspected", () => {
  const { findings } = judgePropagation(evidence(repeated(5, [seen(STRANGER)])));
  expect(findings).toMatchObject([{ from: ["shop/cart"], rule: "R4", confidence: "suspected" }]);
});

test("R4: calls that come as often outside of the requests are nobody's loss", () => {
  const { observations = [], ...more } = repeated(5, [seen(STRANGER)]);
  const noise = Array.from({ length: 150 }, (_, i) =>
    seen({ ...STRANGER, timeMs: START_MS + 25 + i * 19 }),
  );
  const busy = evidence({ ...more, observations: [...observations, ...noise] });
  expect(judgePropagation(busy)).toMatchObject({ verdict: "healthy", findings: [] });
  // Where the tag did come before, one of them may be.
  const learned = judgePropagation({ ...busy, expected: [TO_PRICING] });
  expect(learned).toMatchObject({ verdict: "inconclusive", findings: [] });
  expect(learned.incomplete).toEqual([expect.stringContaining("from shop/cart to shop/pricing")]);
});

test("R4: one request alone is no pulse", () => {
  expect(judgePropagation(evidence({ observations: [seen(STRANGER)] })).findings).toEqual([]);
});

test("R4: untagged calls to a service that the tag does reach are anybody's", () => {
  const calls = [seen({ ...STRANGER, workload: "shop/stock", totalMs: 1 })];
  expect(judgePropagation(evidence(repeated(5, calls))).findings).toEqual([]);
});

test("R4: where its address tells the caller, another one whose tag arrives does not hide it", () => {
  const pricing = hop({ hop: "5", parent: "1", workload: "shop/pricing", timeMs: START_MS + 14 });
  const request = [WEB, CART, STOCK, pricing];
  const raw = repeated(5, [seen({ ...STRANGER, ...FROM_CART })], request);
  expect(judgePropagation(evidence({ ...raw, places: PLACES })).findings).toMatchObject([
    { ...AT_CART, rule: "R4", confidence: "probable", seen: 5 },
  ]);
  const other = repeated(5, [seen({ ...STRANGER, ...FROM_WEB })], request);
  expect(judgePropagation(evidence({ ...other, places: PLACES })).findings).toEqual([]);
});

test("R4: an untagged request at the caller around the call made it, and lost nothing", () => {
  const page = seen({ ...STRANGER, workload: "shop/web", timeMs: START_MS + 1, totalMs: 8 });
  const call = seen({ ...STRANGER, ...FROM_WEB, timeMs: START_MS + 2, totalMs: 5 });
  const mixed = evidence({ ...repeated(5, [page, call]), places: PLACES });
  expect(judgePropagation(mixed)).toMatchObject({ verdict: "healthy", findings: [] });
});

test("R4: untagged requests at the caller, which never make such a call, explain none", () => {
  const page = seen({ ...STRANGER, workload: "shop/web", timeMs: START_MS + 1, totalMs: 8 });
  const call = seen({ ...STRANGER, ...FROM_WEB, timeMs: START_MS + 2, totalMs: 5 });
  const { observations = [], ...more } = repeated(5, [page, call]);
  const others = Array.from({ length: 200 }, (_, i) => ({
    ...page,
    timeMs: START_MS + i * 10 + 25,
  }));
  const busy = evidence({ ...more, observations: [...observations, ...others], places: PLACES });
  expect(judgePropagation(busy).findings).toMatchObject([{ from: ["shop/web"], rule: "R4" }]);
});

/** Untagged calls of several services at once: each alone is less sure. */
function busy(expected: PropagationEvidence["expected"]): PropagationEvidence {
  const others = Array.from({ length: 200 }, (_, i) =>
    seen({ ...STRANGER, workload: `other/s${i}`, timeMs: START_MS + 2_000 }),
  );
  const { observations = [], ...more } = repeated(2, [seen(STRANGER)]);
  return evidence({ ...more, observations: [...observations, ...others], expected });
}

test("R1: an edge that is known, and not reached, needs less to be suspected", () => {
  const verdict = judgePropagation(busy([TO_PRICING]));
  expect(verdict.findings).toMatchObject([
    { from: ["shop/cart"], to: "shop/pricing", rule: "R1", confidence: "suspected" },
  ]);
});

test("R1: the same calls on an edge that nobody knows say nothing", () => {
  expect(judgePropagation(busy([])).findings).toEqual([]);
});

test("R1: a known edge on which nothing came at all was not taken, and is no loss", () => {
  const verdict = judgePropagation(evidence({ expected: [TO_PRICING] }));
  expect(verdict).toMatchObject({ verdict: "healthy", incomplete: [] });
  expect(verdict.edges).toContainEqual({ ...TO_PRICING, state: "not-seen", arrived: 0, lost: 0 });
});

test("R1: a known edge that is not taken is inconclusive where nobody would have seen a loss", () => {
  const verdict = judgePropagation(evidence({ expected: [TO_PRICING], observed: ["shop/web"] }));
  expect(verdict).toMatchObject({ verdict: "inconclusive", findings: [] });
  expect(verdict.incomplete).toEqual([
    expect.stringMatching(/shop\/cart to shop\/pricing.*no proxy/),
  ]);
});

test("R1: untagged calls beside most requests make it inconclusive, on any clock; of others they do not", () => {
  const judge = (times: number, changes: Partial<Observation>) => {
    const { observations = [], ...more } = repeated(5, [seen({ ...STRANGER, ...changes })]);
    const some = { ...more, observations: observations.slice(0, times), places: PLACES };
    return judgePropagation(evidence({ ...some, expected: [TO_PRICING] }));
  };
  const late = { timeMs: START_MS + 60 };
  expect(judge(5, { ...late, ...FROM_CART })).toMatchObject({
    verdict: "inconclusive",
    findings: [],
  });
  expect(judge(5, { ...late, caller: "192.0.2.1" }).verdict).toBe("inconclusive");
  expect(judge(3, { ...late, ...FROM_CART }).verdict).toBe("healthy");
  expect(judge(5, { ...late, ...FROM_WEB }).verdict).toBe("healthy");
});

test("R5: a callee that reads only the beginning of the tag got it cut off", () => {
  const cut = { ...CART, tag: "jane-" };
  expect(
    judgePropagation(evidence({ hops: [WEB, cut, { ...STOCK, tag: "jane-" }] })).findings[0],
  ).toMatchObject({
    from: ["shop/web"],
    to: "shop/cart",
    class: "tag-truncated",
    rule: "R5",
    confidence: "confirmed",
  });
});

test("R5: a mark without its tag names the caller", () => {
  const observations = [
    seen({ state: "truncated", traceId: null, root: id("a"), parent: id("2") }),
  ];
  expect(judgePropagation(evidence({ observations })).findings).toMatchObject([
    { from: ["shop/cart"], class: "tag-truncated", rule: "R5", confidence: "confirmed" },
  ]);
});

test("R5: a tag in correlation-context is one that was moved there", () => {
  const observations = [seen({ state: "correlation-context", root: id("a"), parent: id("2") })];
  expect(judgePropagation(evidence({ observations })).findings).toMatchObject([
    { from: ["shop/cart"], class: "correlation-context", state: "mangles", rule: "R5" },
  ]);
});

test("R5: decoded members are told where they first come decoded, not further down", () => {
  const at = (workload: string, own: string, parent: string) =>
    seen({ state: "percent-decoded", workload, root: id("a"), parent: id(parent), hop: id(own) });
  const observations = [at("shop/stock", "3", "2"), at("shop/cart", "2", "1")];
  expect(judgePropagation(evidence({ observations })).findings).toMatchObject([
    { from: ["shop/web"], to: "shop/cart", class: "percent-decoded", rule: "R5" },
  ]);
});

test("R5: a tag with another one beside it is told", () => {
  const observations = [
    seen({
      state: "duplicated",
      workload: "shop/cart",
      root: id("a"),
      parent: id("1"),
      hop: id("2"),
    }),
  ];
  expect(judgePropagation(evidence({ observations })).findings).toMatchObject([
    { from: ["shop/web"], class: "tag-duplicated" },
  ]);
});

test("white space around = is a note, and healthy", () => {
  const observations = [
    seen({ state: "spaces", workload: "shop/cart", root: id("a"), parent: id("1"), hop: id("2") }),
  ];
  const verdict = judgePropagation(evidence({ observations }));
  expect(verdict).toMatchObject({ verdict: "healthy", findings: [] });
  expect(verdict.notes).toEqual([expect.stringContaining("shop/web -> shop/cart")]);
});

test("R6: a call of the same trace after its caller had answered crosses an async boundary", () => {
  const observations = [seen({ timeMs: START_MS + 80 })];
  expect(
    judgePropagation(evidence({ observations, expected: [TO_PRICING] })).findings,
  ).toMatchObject([
    { from: ["shop/cart"], class: "async-boundary", rule: "R6", confidence: "confirmed" },
  ]);
});

test("R6: between two hosts a gap that their clocks may make is none", () => {
  const judge = (afterMs: number) =>
    judgePropagation(
      evidence({
        observations: [seen({ timeMs: START_MS + afterMs, ...FROM_CART })],
        places: PLACES,
      }),
    ).findings;
  expect(judge(80)).toMatchObject([{ ...AT_CART, rule: "R2", confidence: "confirmed" }]);
  expect(judge(180)).toMatchObject([{ ...AT_CART, rule: "R6", class: "async-boundary" }]);
});

test("R6: who it was that handed the work over is probable at most where nothing names him", () => {
  const { findings } = judgePropagation(
    evidence({ observations: [seen({ timeMs: START_MS + 80 })] }),
  );
  expect(findings).toMatchObject([{ rule: "R6", confidence: "probable" }]);
});

test("the loss nearest to the entry comes first", () => {
  const loyalty = seen({ workload: "shop/loyalty", timeMs: START_MS + 1, totalMs: 18 });
  const expected = [TO_PRICING, { from: "shop/web", to: "shop/loyalty" }];
  const { findings } = judgePropagation(evidence({ observations: [seen(), loyalty], expected }));
  expect(findings.map((finding) => finding.to)).toEqual(["shop/loyalty", "shop/pricing"]);
});

test("a tag that arrived without its mark did arrive", () => {
  const alone = hop({ root: id("b"), hop: "9", workload: "shop/pricing", timeMs: START_MS + 5 });
  const verdict = judgePropagation(evidence({ hops: [WEB, CART, STOCK, alone] }));
  expect(verdict).toMatchObject({ verdict: "healthy", findings: [] });
});

test("evidence that may be missing makes health inconclusive, and takes nothing from a finding", () => {
  const gaps = ["proxy cart-1 did not answer"];
  expect(judgePropagation(evidence({ gaps }))).toMatchObject({
    verdict: "inconclusive",
    incomplete: gaps,
  });
  const broken = judgePropagation(
    evidence({ gaps, observations: [seen()], expected: [TO_PRICING] }),
  );
  expect(broken).toMatchObject({ verdict: "broken", incomplete: gaps });
  expect(judgePropagation(evidence({ hops: [CART, STOCK] })).verdict).toBe("inconclusive");
  expect(judgePropagation(evidence({ roots: [], hops: [] })).verdict).toBe("inconclusive");
});

test("a circle of parents, which no honest proxy records, ends", () => {
  const hops = [
    hop({ hop: "1", parent: "2" }),
    hop({ hop: "2", parent: "1", workload: "shop/web" }),
  ];
  expect(judgePropagation(evidence({ hops, observations: [seen()] })).requests).toBe(1);
});

test("a tag that the caller's own proxy gave back is no finding, and says who loses it", () => {
  const call = { hop: "4", parent: "2", workload: "shop/pricing", timeMs: START_MS + 5 };
  const atCaller = hop({ ...call, caller: "shop/cart", healed: "sandbox", tag: "jane-42" });
  const atCallee = hop({ ...call, tag: "jane-42" });
  const judged = judgePropagation(evidence({ hops: [WEB, CART, STOCK, atCallee, atCaller] }));
  expect(judged).toMatchObject({ verdict: "healthy", findings: [] });
  expect(judged.notes).toEqual([expect.stringContaining("shop/cart loses the tag")]);
  expect(judged.edges).toContainEqual(
    expect.objectContaining({ from: "shop/cart", to: "shop/pricing", state: "propagates" }),
  );
  const hurt = evidence({ hops: [WEB, CART, STOCK, atCallee] });
  expect(judgePropagation(hurt).verdict).toBe("broken");
});
