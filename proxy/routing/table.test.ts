import { describe, expect, test } from "vitest";
import {
  asCurrent,
  asStale,
  parseTable,
  type RoutingTable,
  toDocument,
  unknownTable,
  withKeys,
  withRoutes,
  workloadTable,
} from "./table.ts";
import {
  ROUTE_ENDPOINTS_MAX,
  TABLE_KEYS_MAX,
  TABLE_WORKLOADS_MAX,
  WORKLOAD_ADDRESSES_MAX,
  WORKLOAD_HOSTS_MAX,
} from "./table-document.ts";

const ROUTE = { sandbox: "jane", endpoints: ["127.0.0.1:9002"] };
const SHORT = {
  revision: 1,
  routes: { "jane-42": ROUTE },
  known: ["other-key"],
  expired: ["gone"],
};
const LONG = {
  revision: "e1.4",
  workloads: {
    "shop/cart": {
      hosts: ["cart", "cart.shop.svc:80"],
      addresses: ["10.0.0.9", "10.0.0.9:80", "::1", "[::1]:80"],
      baseline: "10.0.0.9:80",
      routes: { "jane-42": { ...ROUTE, onUnavailable: "baseline" } },
    },
    "shop/price": { routes: {} },
  },
  known: ["other-key"],
};

function tableOf(document: unknown): RoutingTable {
  return taken(parseTable(document, "shop/cart"));
}

function taken<T>(result: { ok: true; value: T } | { ok: false; error: string }): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function errorOf(document: unknown): string {
  const parsed = parseTable(document, "shop/cart");
  return parsed.ok ? "" : parsed.error;
}

const manyKeys = (count: number) => Array.from({ length: count }, (_, i) => `key-${i}`);

describe("a table document", () => {
  test("in its short form is about the own workload", () => {
    const table = tableOf(SHORT);
    expect(table).toMatchObject({ revision: "1", state: "current" });
    expect([...table.workloads.keys()]).toEqual(["shop/cart"]);
    const cart = workloadTable(table, "shop/cart");
    expect(cart.routes.get("jane-42")).toEqual({
      outcome: "fork",
      reason: "fork",
      status: 0,
      key: "jane-42",
      route: { ...ROUTE, onUnavailable: "fail" },
      collision: null,
    });
    expect([...cart.known].sort()).toEqual(["jane-42", "other-key"]);
    expect([...cart.expired]).toEqual(["gone"]);
  });

  test("in its long form names its workloads; a key of one is known to all", () => {
    const table = tableOf(LONG);
    expect(workloadTable(table, "shop/cart")).toMatchObject({
      workload: "shop/cart",
      hosts: ["cart", "cart.shop.svc:80"],
      addresses: ["10.0.0.9", "10.0.0.9:80", "::1", "[::1]:80"],
      baseline: "10.0.0.9:80",
    });
    const price = workloadTable(table, "shop/price");
    expect(price).toMatchObject({ revision: "e1.4", hosts: [], baseline: null });
    expect(price.known.has("jane-42")).toBe(true);
    expect(price.routes.size).toBe(0);
  });

  test("a workload that it does not have gets an empty view with the same keys", () => {
    const table = tableOf(LONG);
    const view = workloadTable(table, "shop/other");
    expect(view).toMatchObject({ workload: "shop/other", state: "current", revision: "e1.4" });
    expect(view.known).toBe(table.known);
    expect(view.routes.size).toBe(0);
  });

  test("a live key is not expired", () => {
    const table = tableOf({ ...SHORT, expired: ["jane-42", "other-key", "gone"] });
    expect([...table.expired]).toEqual(["gone"]);
  });

  test("fields that are not known are left alone", () => {
    expect(errorOf({ ...SHORT, later: 1, routes: { "jane-42": { ...ROUTE, weight: 2 } } })).toBe(
      "",
    );
  });

  test("is the same after being written and read", () => {
    for (const document of [SHORT, LONG]) {
      const table = tableOf(document);
      expect(tableOf(JSON.parse(JSON.stringify(toDocument(table))))).toEqual(table);
    }
  });

  test.each([
    [null, "table: null is not an object"],
    [[], "table: a list is not an object"],
    [{ revision: 1 }, '"routes" or "workloads" is missing'],
    [{ ...SHORT, workloads: {} }, "both there"],
    [{ routes: {} }, "revision: nothing is not a whole number"],
    [{ ...SHORT, revision: "" }, 'revision: "" is not a whole number'],
    [{ ...SHORT, revision: -1 }, "revision: -1 is not"],
    [{ ...SHORT, revision: "a b" }, 'revision: "a b" is not'],
    [{ ...SHORT, revision: "a".repeat(201) }, "revision: "],
    [{ ...SHORT, routes: [] }, "routes: a list is not an object"],
    [{ ...SHORT, routes: { Jane: ROUTE } }, 'routes["Jane"]: "Jane" is not a routing key'],
    [{ ...SHORT, routes: { "a.base": ROUTE } }, 'routes["a.base"]: "a.base" is not a routing key'],
    [JSON.parse('{"revision":1,"routes":{"__proto__":{}}}'), 'routes["__proto__"]: '],
    [{ ...SHORT, routes: { abc: 1 } }, 'routes["abc"]: 1 is not an object'],
    [{ ...SHORT, routes: { abc: { endpoints: [] } } }, 'routes["abc"].sandbox: nothing is not'],
    [
      { ...SHORT, routes: { abc: { sandbox: "a\r\nb", endpoints: [] } } },
      'routes["abc"].sandbox: "a\\r\\nb" is not',
    ],
    [
      { ...SHORT, routes: { abc: { sandbox: "s" } } },
      'routes["abc"].endpoints: nothing is not a list',
    ],
    [
      { ...SHORT, routes: { abc: { sandbox: "s", endpoints: ["127.0.0.1:1", "nowhere"] } } },
      'routes["abc"].endpoints[1]: "nowhere" is not host:port',
    ],
    [
      { ...SHORT, routes: { abc: { sandbox: "s", endpoints: ["127.0.0.1:0"] } } },
      'routes["abc"].endpoints[0]: "127.0.0.1:0" is not host:port',
    ],
    [
      { ...SHORT, routes: { abc: { ...ROUTE, onUnavailable: "retry" } } },
      'routes["abc"].onUnavailable: "retry" is not "fail" or "baseline"',
    ],
    [{ ...SHORT, known: "abc" }, 'known: "abc" is not a list'],
    [{ ...SHORT, known: ["abc", "a--b"] }, 'known[1]: "a--b" is not a routing key'],
    [{ ...SHORT, expired: [1] }, "expired[0]: 1 is not a routing key"],
    [
      { revision: 1, workloads: { cart: { routes: {} } } },
      'workloads["cart"]: "cart" is not a workload',
    ],
    [
      { revision: 1, workloads: { "a/b": {} } },
      'workloads["a/b"].routes: nothing is not an object',
    ],
    [
      { revision: 1, workloads: { "a/b": { routes: { abc: { ...ROUTE, endpoints: [7] } } } } },
      'workloads["a/b"].routes["abc"].endpoints[0]: 7 is not host:port',
    ],
    [
      { revision: 1, workloads: { "a/b": { routes: {}, hosts: ["Cart"] } } },
      'workloads["a/b"].hosts[0]: "Cart" is not a host name',
    ],
    [
      { revision: 1, workloads: { "a/b": { routes: {}, addresses: ["cart:80"] } } },
      'workloads["a/b"].addresses[0]: "cart:80" is not an IP address',
    ],
    [
      { revision: 1, workloads: { "a/b": { routes: {}, addresses: ["1.2.3.256"] } } },
      'workloads["a/b"].addresses[0]: "1.2.3.256" is not',
    ],
    [
      { revision: 1, workloads: { "a/b": { routes: {}, baseline: "x" } } },
      'workloads["a/b"].baseline: "x" is not host:port',
    ],
  ])("%j is refused with path, value and what is allowed", (document, expected) => {
    expect(errorOf(document)).toContain(expected);
  });

  test("an error shows only the beginning of what is wrong", () => {
    expect(errorOf({ ...SHORT, known: ["x".repeat(1e6)] }).length).toBeLessThan(400);
  });
});

describe("the limits of a table", () => {
  test(`${TABLE_KEYS_MAX} keys, those of routes included, and as many expired ones`, () => {
    const most = manyKeys(TABLE_KEYS_MAX);
    expect(errorOf({ revision: 1, routes: {}, known: most, expired: most })).toBe("");
    const more = manyKeys(TABLE_KEYS_MAX + 1);
    expect(errorOf({ revision: 1, routes: {}, known: more })).toContain("at most 100000");
    expect(errorOf({ revision: 1, routes: {}, expired: more })).toContain("at most 100000");
    expect(errorOf({ revision: 1, routes: { abc: ROUTE }, known: most })).toContain(
      "at most 100000",
    );
    const full = tableOf({ revision: 1, routes: {}, known: most });
    expect(withKeys(full, "2", { added: ["abc"], removed: [], expired: [] })).toMatchObject({
      ok: false,
      error: expect.stringContaining("at most 100000"),
    });
    expect(withRoutes(full, "2", "shop/cart", { routes: { abc: ROUTE } })).toMatchObject({
      ok: false,
    });
  });

  test(`${ROUTE_ENDPOINTS_MAX} endpoints of a route`, () => {
    const endpoints = Array.from({ length: ROUTE_ENDPOINTS_MAX }, (_, i) => `10.0.0.1:${i + 1}`);
    expect(errorOf({ revision: 1, routes: { abc: { sandbox: "s", endpoints } } })).toBe("");
    const more = [...endpoints, "10.0.0.2:1"];
    expect(errorOf({ revision: 1, routes: { abc: { sandbox: "s", endpoints: more } } })).toContain(
      'routes["abc"].endpoints: 65 are given, at most 64 are allowed',
    );
  });

  test(`${TABLE_WORKLOADS_MAX} workloads`, () => {
    const workloads = (count: number) =>
      Object.fromEntries(manyKeys(count).map((name) => [`shop/${name}`, { routes: {} }]));
    const full = tableOf({ revision: 1, workloads: workloads(TABLE_WORKLOADS_MAX) });
    expect(errorOf({ revision: 1, workloads: workloads(TABLE_WORKLOADS_MAX + 1) })).toContain(
      "workloads: 1001 are given, at most 1000 are allowed",
    );
    expect(withRoutes(full, "2", "shop/one-more", { routes: {} }).ok).toBe(false);
    expect(withRoutes(full, "2", "shop/key-1", { routes: {} }).ok).toBe(true);
  });

  test(`${WORKLOAD_HOSTS_MAX} hosts and ${WORKLOAD_ADDRESSES_MAX} addresses of a workload`, () => {
    const workload = (hosts: number, addresses: number) => ({
      revision: 1,
      workloads: {
        "shop/cart": {
          routes: {},
          hosts: manyKeys(hosts),
          addresses: Array.from({ length: addresses }, (_, i) => `10.0.0.1:${i + 1}`),
        },
      },
    });
    expect(errorOf(workload(WORKLOAD_HOSTS_MAX, WORKLOAD_ADDRESSES_MAX))).toBe("");
    expect(errorOf(workload(WORKLOAD_HOSTS_MAX + 1, 0))).toContain(".hosts: 257 are given");
    expect(errorOf(workload(0, WORKLOAD_ADDRESSES_MAX + 1))).toContain(
      ".addresses: 4097 are given",
    );
  });
});

describe("a change of routes", () => {
  test("replaces one workload and leaves the table before as it was", () => {
    const before = tableOf(LONG);
    const snapshot = JSON.stringify(toDocument(before));
    const after = taken(withRoutes(before, "e1.5", "shop/price", { routes: { "pr-118": ROUTE } }));
    expect(after.revision).toBe("e1.5");
    expect(workloadTable(after, "shop/price").routes.has("pr-118")).toBe(true);
    expect(workloadTable(after, "shop/cart")).toMatchObject({ revision: "e1.5" });
    expect(workloadTable(after, "shop/cart").routes.has("jane-42")).toBe(true);
    expect(workloadTable(after, "shop/cart").known.has("pr-118")).toBe(true);
    expect(JSON.stringify(toDocument(before))).toBe(snapshot);
  });

  test("makes an expired key live again", () => {
    const after = taken(withRoutes(tableOf(SHORT), "2", "shop/cart", { routes: { gone: ROUTE } }));
    expect(after.expired.has("gone")).toBe(false);
    expect(after.known.has("gone")).toBe(true);
  });

  test("shares the keys where it brings none", () => {
    const before = tableOf(SHORT);
    const after = taken(withRoutes(before, "2", "shop/cart", { routes: {} }));
    expect(after.known).toBe(before.known);
    expect(after.expired).toBe(before.expired);
  });

  test("that is wrong is refused with its path", () => {
    expect(withRoutes(tableOf(SHORT), "2", "shop/cart", { routes: { A: ROUTE } })).toMatchObject({
      error: expect.stringContaining(
        'workloads["shop/cart"].routes["A"]: "A" is not a routing key',
      ),
    });
    expect(withRoutes(tableOf(SHORT), "2", "shop/cart", null)).toMatchObject({
      error: expect.stringContaining('workloads["shop/cart"]: null is not an object'),
    });
    expect(withRoutes(tableOf(SHORT), "2", "cart", { routes: {} }).ok).toBe(false);
    expect(withRoutes(tableOf(SHORT), "", "shop/cart", { routes: {} }).ok).toBe(false);
  });

  test("before any table is refused", () => {
    const unknown = unknownTable(["shop/cart"]);
    expect(withRoutes(unknown, "1", "shop/cart", { routes: {} }).ok).toBe(false);
    expect(withKeys(unknown, "1", { added: [], removed: [], expired: [] }).ok).toBe(false);
  });
});

describe("a change of keys", () => {
  test("adds, removes and expires", () => {
    const before = tableOf(SHORT);
    const after = taken(
      withKeys(before, "2", { added: ["new-key", "gone"], removed: [], expired: ["other-key"] }),
    );
    expect([...after.known].sort()).toEqual(["gone", "jane-42", "new-key"]);
    expect([...after.expired]).toEqual(["other-key"]);
    expect(workloadTable(after, "shop/cart").known).toBe(after.known);
    expect([...before.known].sort()).toEqual(["jane-42", "other-key"]);
    const removed = taken(withKeys(after, "3", { added: [], removed: ["other-key"], expired: [] }));
    expect(removed.expired.size).toBe(0);
  });

  test("leaves routes to the event that brings them", () => {
    const after = taken(
      withKeys(tableOf(SHORT), "2", { added: [], removed: [], expired: ["jane-42"] }),
    );
    expect(workloadTable(after, "shop/cart").routes.has("jane-42")).toBe(true);
    expect(after.known.has("jane-42")).toBe(false);
  });

  test("that is wrong is refused", () => {
    const table = tableOf(SHORT);
    expect(withKeys(table, "2", null)).toMatchObject({
      error: expect.stringContaining("keys: null"),
    });
    expect(withKeys(table, "2", { added: ["A"] })).toMatchObject({
      error: expect.stringContaining('added[0]: "A" is not a routing key'),
    });
    expect(withKeys(table, "2", { added: ["abc"], removed: ["abc"] })).toMatchObject({
      error: expect.stringContaining('"abc" is added and gone at once'),
    });
  });
});

describe("the state of a table", () => {
  test("goes from current to stale and back, and keeps the rest", () => {
    const current = tableOf(LONG);
    const stale = asStale(current);
    expect(stale.state).toBe("stale");
    expect(workloadTable(stale, "shop/cart").state).toBe("stale");
    expect(workloadTable(stale, "shop/other").state).toBe("stale");
    expect(asCurrent(stale)).toEqual(current);
    expect(asStale(stale)).toBe(stale);
    expect(asCurrent(current)).toBe(current);
  });

  test("stays unknown until there is a table", () => {
    const unknown = unknownTable(["shop/cart"]);
    expect(unknown).toMatchObject({ revision: "", state: "unknown" });
    expect(workloadTable(unknown, "shop/cart")).toMatchObject({ state: "unknown" });
    expect(asStale(unknown)).toBe(unknown);
    expect(asCurrent(unknown)).toBe(unknown);
  });
});
