import { expect, test } from "vitest";
import type { TreeHop } from "../hop-tree.ts";
import {
  type DemoAnswer,
  type DemoArm,
  type DemoEvidence,
  findFlaws,
  HOP_WORKLOADS,
} from "./proof.ts";

const FORK = { service: "pricing", version: "jane-42", endpoint: "127.0.0.1:9106" } as const;

test("a fork at one hop and the baseline everywhere else is proof", () => {
  expect(findFlaws(evidence())).toEqual([]);
});

test("an untagged request that reached the fork is a flaw", () => {
  const flaws = findFlaws({ ...evidence(), untagged: answer("jane-42") });
  expect(flaws).toEqual(["untagged: shop/pricing was answered by jane-42, not by baseline"]);
});

test("a header of ours on the untagged answer is a flaw", () => {
  const untagged = { ...answer("baseline"), headers: { "forklane-decision": "x" } };
  expect(findFlaws({ ...evidence(), untagged })).toEqual([
    "untagged: the answer carries forklane-decision",
  ]);
});

test("a tagged request that the baseline answered is a flaw, whatever the proxies say", () => {
  const tagged: DemoArm = { ...arm(true), answer: answer("baseline") };
  expect(findFlaws({ ...evidence(), tagged })).toEqual([
    "tagged: shop/pricing was answered by baseline, not by jane-42",
  ]);
});

test("a tagged request whose proxies say baseline is a flaw, whatever the service says", () => {
  const tagged: DemoArm = { ...arm(true), trace: arm(false).trace };
  expect(findFlaws({ ...evidence(), tagged })).toEqual([
    "tagged: shop/pricing went baseline (not-forked), not fork (fork)",
  ]);
});

test("a fork at another endpoint is a flaw", () => {
  const tagged = withHop(arm(true), "shop/pricing", { endpoint: "127.0.0.1:1" });
  expect(findFlaws({ ...evidence(), tagged })[0]).toContain("127.0.0.1:1, not at 127.0.0.1:9106");
});

test("a fork whose own proxy did not see the request is a flaw", () => {
  const tagged = withHop(arm(true), "shop/pricing", { confirmed: false });
  expect(findFlaws({ ...evidence(), tagged })).toEqual([
    "tagged: the fork's own proxy did not record the hop at shop/pricing",
  ]);
});

test("a hop that is missing, double or of somebody else is a flaw", () => {
  const { trace } = arm(true);
  const hops = [...trace.hops.slice(0, -1), hop("shop/cart"), hop("shop/else")];
  const tagged = { ...arm(true), trace: { ...trace, hops } };
  expect(findFlaws({ ...evidence(), tagged })).toEqual([
    "tagged: shop/cart has 2 recorded hops, not 1",
    "tagged: shop/loyalty has 0 recorded hops, not 1",
    "tagged: a hop at shop/else is not of this shop",
  ]);
});

test("a hop under the wrong caller is a flaw", () => {
  const tagged = withHop(arm(true), "shop/inventory", { parent: "shop/frontend" });
  expect(findFlaws({ ...evidence(), tagged })).toEqual([
    "tagged: shop/inventory was called by shop/frontend, not by shop/cart",
  ]);
});

const LOST = [{ code: "proxy-lost", detail: "cart" }];

test("a record that is not complete is a flaw, also of the control arm", () => {
  const { trace } = arm(false);
  const controlArm = { ...arm(false), trace: { ...trace, complete: false, incomplete: LOST } };
  expect(findFlaws({ ...evidence(), controlArm })).toEqual([
    "control arm: the record of hops is not complete (proxy-lost: cart)",
  ]);
});

test("a hop that answered with a failure is a flaw", () => {
  const controlArm = withHop(arm(false), "shop/loyalty", { status: 502 });
  expect(findFlaws({ ...evidence(), controlArm })).toEqual([
    "control arm: shop/loyalty answered 502",
  ]);
});

test("an answer that is no answer is one flaw, not many", () => {
  const untagged = { status: 503, headers: {}, body: "no" };
  expect(findFlaws({ ...evidence(), untagged })).toEqual(['untagged: the answer is 503 "no"']);
});

function evidence(): DemoEvidence {
  return { untagged: answer("baseline"), controlArm: arm(false), tagged: arm(true), fork: FORK };
}

function arm(isForked: boolean): DemoArm {
  const hops = HOP_WORKLOADS.map((workload) =>
    isForked && workload === "shop/pricing"
      ? hop(workload, { outcome: "fork", reason: "fork", endpoint: FORK.endpoint, confirmed: true })
      : hop(workload),
  );
  return {
    answer: answer(isForked ? FORK.version : "baseline"),
    trace: { complete: true, incomplete: [], hops },
  };
}

function withHop(before: DemoArm, workload: string, change: Partial<TreeHop>): DemoArm {
  const hops = before.trace.hops.map((each) =>
    each.workload === workload ? { ...each, ...change } : each,
  );
  return { ...before, trace: { ...before.trace, hops } };
}

const CALLERS: Readonly<Record<string, string>> = {
  "shop/frontend": "shop/edge",
  "shop/cart": "shop/frontend",
  "shop/loyalty": "shop/frontend",
  "shop/pricing": "shop/cart",
  "shop/inventory": "shop/cart",
};

function hop(workload: string, change: Partial<TreeHop> = {}): TreeHop {
  return {
    hop: workload,
    parent: CALLERS[workload] ?? null,
    workload,
    outcome: "baseline",
    reason: "not-forked",
    endpoint: null,
    confirmed: false,
    status: 200,
    totalMs: 1,
    fault: null,
    ...change,
  };
}

function answer(pricing: string): DemoAnswer {
  const by = (servedBy: string, version = "baseline", inside = {}) => ({
    servedBy,
    version,
    ...inside,
  });
  const cart = by("shop/cart", "baseline", {
    pricing: by("shop/pricing", pricing),
    inventory: by("shop/inventory"),
  });
  const body = by("shop/frontend", "baseline", { cart, loyalty: by("shop/loyalty") });
  return { status: 200, headers: { "content-type": "application/json" }, body };
}
