import { expect, test } from "vitest";
import { CONTROL_LIMITS } from "./limits.ts";
import { type ProxyView, type ReadyQuestion, readinessOf } from "./ready.ts";

const QUESTION: ReadyQuestion = {
  forks: new Map([["shop/cart", ["127.0.0.1:9002"]]]),
  routeVersions: new Map([["shop/cart", 5]]),
  keyVersion: 5,
  sinceWriteMs: 10,
  missing: [],
  hasTooManyMembers: false,
};
const ACCEPTED = { accepted: true, fault: null, timeMs: 0 };
const REFUSED = { accepted: false, fault: "connect-refused", timeMs: 0 };

/** A baseline proxy of shop/cart that is up to date and has reached the fork. */
function proxy(view: Partial<ProxyView> & { workloads?: string[] } = {}) {
  return {
    instance: "cart-1",
    workloads: ["shop/cart"],
    mode: "inbound" as const,
    sandbox: null,
    counts: true,
    appliedVersion: 5,
    endpoints: { "127.0.0.1:9002": ACCEPTED },
    ...view,
  };
}

function ask(proxies: ReturnType<typeof proxy>[], question: Partial<ReadyQuestion> = {}) {
  const views = {
    of: (workload: string) => proxies.filter((each) => each.workloads.includes(workload)),
    all: () => proxies,
  };
  const { ready, conditions, unconfirmed } = readinessOf(
    { ...QUESTION, ...question },
    views,
    CONTROL_LIMITS,
  );
  return { ready, reasons: conditions.map((each) => each.reason), unconfirmed };
}

test("it is ready when the proxy of each forked workload has the table and has reached the fork", () => {
  expect(ask([proxy()])).toEqual({
    ready: true,
    reasons: ["Applied", "Available"],
    unconfirmed: [],
  });
});

test("without a proxy at the baseline it is not ready", () => {
  expect(ask([]).reasons).toEqual(["NoProxy", "NotTried"]);
  expect(ask([proxy({ sandbox: "jane-42" })]).reasons[0]).toBe("NoProxy");
  expect(ask([proxy({ mode: "outbound" })]).reasons[0]).toBe("NoProxy");
  expect(ask([proxy({ mode: "edge" })]).ready).toBe(true);
});

test("one proxy that lags keeps it unready, the fork's own and an outbound one included", () => {
  const lag = { instance: "cart-2", appliedVersion: 4 };
  expect(ask([proxy(), proxy(lag)]).reasons[0]).toBe("NotApplied");
  expect(ask([proxy(), proxy({ ...lag, sandbox: "jane-42" })]).reasons[0]).toBe("NotApplied");
  expect(ask([proxy(), proxy({ ...lag, mode: "outbound" })]).reasons[0]).toBe("NotApplied");
});

test("a proxy that was silent for longer than lease and grace is named, not waited for", () => {
  const silent = proxy({ instance: "cart-2", appliedVersion: 4, counts: false });
  expect(ask([proxy(), silent], { sinceWriteMs: 2_000 })).toEqual({
    ready: true,
    reasons: ["Applied", "Available"],
    unconfirmed: ["cart-2"],
  });
  expect(ask([silent]).reasons[0]).toBe("NoProxy");
});

test("proxies of other workloads are waited for during a second, then named", () => {
  const other = proxy({ instance: "web-1", workloads: ["shop/web"], appliedVersion: 4 });
  expect(ask([proxy(), other], { sinceWriteMs: 999 }).reasons[0]).toBe("KeyNotApplied");
  expect(ask([proxy(), other], { sinceWriteMs: 1_000 })).toMatchObject({
    ready: true,
    unconfirmed: ["web-1"],
  });
});

test("other proxies need the key only, not the last change of the route", () => {
  const other = proxy({ instance: "web-1", workloads: ["shop/web"], appliedVersion: 3 });
  expect(ask([proxy(), other], { keyVersion: 3 }).ready).toBe(true);
});

test("a workload that is forked no longer must have let go of the key", () => {
  const routeVersions = new Map([
    ["shop/cart", 5],
    ["shop/web", 5],
  ]);
  const web = proxy({ instance: "web-1", workloads: ["shop/web"], appliedVersion: 4 });
  expect(ask([proxy(), web], { routeVersions }).reasons[0]).toBe("NotApplied");
});

test("available means that a baseline proxy has reached an endpoint of each fork", () => {
  expect(ask([proxy({ endpoints: {} })]).reasons[1]).toBe("NotTried");
  expect(ask([proxy({ endpoints: { "127.0.0.1:9002": REFUSED } })]).reasons[1]).toBe("Refused");
  const atFork = proxy({ instance: "cart-2", sandbox: "jane-42" });
  expect(ask([proxy({ endpoints: {} }), atFork]).reasons[1]).toBe("NotTried");
  const none = new Map([["shop/cart", []]]);
  expect(ask([proxy()], { forks: none }).reasons[1]).toBe("NoEndpoint");
});

test("one endpoint that answers is enough", () => {
  const forks = new Map([["shop/cart", ["127.0.0.1:9001", "127.0.0.1:9002"]]]);
  const endpoints = { "127.0.0.1:9001": REFUSED, "127.0.0.1:9002": ACCEPTED };
  expect(ask([proxy({ endpoints })], { forks }).ready).toBe(true);
});

test("a route group whose members are missing or too many is not ready", () => {
  expect(ask([proxy()], { missing: ["gone"] })).toMatchObject({
    ready: false,
    reasons: ["MemberMissing", "Available"],
  });
  expect(ask([proxy()], { hasTooManyMembers: true }).reasons[0]).toBe("TooManyMembers");
});

test("only so many unconfirmed proxies are named", () => {
  const others = Array.from({ length: 50 }, (_, i) =>
    proxy({ instance: `web-${i}`, workloads: ["shop/web"], appliedVersion: 4 }),
  );
  const answer = ask([proxy(), ...others], { sinceWriteMs: 1_000 });
  expect(answer.unconfirmed).toHaveLength(CONTROL_LIMITS.namedProxiesMax);
});
