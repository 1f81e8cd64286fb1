import fc from "fast-check";
import { expect, test } from "vitest";
import { limitsWith } from "../control.fake.ts";
import { CONTROL_LIMITS } from "../model/limits.ts";
import type { Resource } from "../model/resource.ts";
import type { RouteGroupSpec } from "../model/route-group.ts";
import type { SandboxSpec } from "../model/sandbox.ts";
import { Tables } from "./tables.ts";

const IDS = { uid: "u", generation: 1, version: 1, createdMs: 0, updatedMs: 0 };

function sandbox(name: string, spec: Partial<SandboxSpec> = {}): Resource<"sandbox"> {
  const forks = [{ workload: "shop/cart", endpoints: ["127.0.0.1:9002"] }];
  const whole = { forks, routingKey: name, labels: {}, onUnavailable: "fail", ttl: {} } as const;
  return { kind: "sandbox", name, ...IDS, spec: { ...whole, ...spec } };
}

function group(name: string, spec: Partial<RouteGroupSpec> = {}): Resource<"route-group"> {
  const whole = { sandboxes: [], labelSelector: null, routingKey: name, labels: {}, ttl: {} };
  return { kind: "route-group", name, ...IDS, spec: { ...whole, ...spec } };
}

function step(before: Resource | null, after: Resource | null) {
  return { steps: [{ before, after }], buried: [], forgotten: [] };
}

function tablesOf(...resources: Resource[]): Tables {
  const tables = new Tables(CONTROL_LIMITS);
  tables.apply({
    steps: resources.map((after) => ({ before: null, after })),
    buried: [],
    forgotten: [],
  });
  return tables;
}

function contentOf(tables: Tables) {
  const workloads = [...tables.workloads()].sort().map((workload) => {
    const routes = [...tables.routesOf(workload)].sort(([a], [b]) => (a < b ? -1 : 1));
    return [workload, routes.map(([key, { route }]) => [key, route])];
  });
  return { workloads, keys: [...tables.keys()].sort(), expired: tables.expiredKeys().sort() };
}

test("each fork becomes a route of its workload under the sandbox's key", () => {
  const forks = [
    { workload: "shop/cart", endpoints: ["127.0.0.1:9002"] },
    { workload: "shop/web", endpoints: [] },
  ];
  const tables = tablesOf(sandbox("jane-42", { forks, onUnavailable: "baseline" }));
  expect(JSON.parse(tables.routesJson("shop/cart"))).toEqual({
    "jane-42": {
      sandbox: "jane-42",
      endpoints: ["127.0.0.1:9002"],
      onUnavailable: "baseline",
    },
  });
  expect(JSON.parse(tables.routesJson("shop/web"))["jane-42"].endpoints).toEqual([]);
  expect(tables.routesJson("shop/pricing")).toBe("{}");
});

test("a change says which workloads and keys it touched, and only those", () => {
  const tables = tablesOf(sandbox("jane-42"), sandbox("bob-7"));
  const moved = sandbox("jane-42", {
    forks: [{ workload: "shop/web", endpoints: ["127.0.0.1:9003"] }],
  });
  const changes = tables.apply(step(sandbox("jane-42"), moved));
  expect([...changes.workloads].sort()).toEqual(["shop/cart", "shop/web"]);
  expect(changes.keys).toEqual({ added: [], removed: [], expired: [] });
  expect([...changes.routes.keys()]).toEqual(["jane-42"]);
});

test("labels alone touch no table", () => {
  const tables = tablesOf(sandbox("jane-42"));
  const changes = tables.apply(
    step(sandbox("jane-42"), sandbox("jane-42", { labels: { a: "b" } })),
  );
  expect(changes.workloads.size).toBe(0);
  expect(changes.routes.size).toBe(0);
});

test("a new key of a sandbox replaces the old one", () => {
  const tables = tablesOf(sandbox("jane-42"));
  const changes = tables.apply(
    step(sandbox("jane-42"), sandbox("jane-42", { routingKey: "new-key" })),
  );
  expect(changes.keys).toEqual({ added: ["new-key"], removed: ["jane-42"], expired: [] });
  expect([...tables.routesOf("shop/cart").keys()]).toEqual(["new-key"]);
});

test("an expired key is told as expired, then, when it is forgotten, as removed", () => {
  const tables = tablesOf(sandbox("jane-42"));
  const gone = {
    steps: [{ before: sandbox("jane-42"), after: null }],
    buried: [{ key: "jane-42" }],
    forgotten: [],
  };
  expect(tables.apply(gone).keys).toEqual({ added: [], removed: [], expired: ["jane-42"] });
  expect(tables.expiredKeys()).toEqual(["jane-42"]);
  const reborn = { ...step(null, sandbox("jane-42")), forgotten: ["jane-42"] };
  expect(tables.apply(reborn).keys).toEqual({ added: ["jane-42"], removed: [], expired: [] });
  tables.apply(gone);
  const forgotten = tables.apply({ steps: [], buried: [], forgotten: ["jane-42"] });
  expect(forgotten.keys).toEqual({ added: [], removed: ["jane-42"], expired: [] });
});

test("a route group leads to the forks of its members, the earlier member first", () => {
  const jane = sandbox("jane-42", {
    forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:1"] }],
    labels: { team: "cart" },
  });
  const bob = sandbox("bob-7", {
    forks: [
      { workload: "shop/cart", endpoints: ["127.0.0.1:2"] },
      { workload: "shop/web", endpoints: ["127.0.0.1:3"] },
    ],
    labels: { team: "cart" },
  });
  const release = group("release", { sandboxes: ["jane-42"], labelSelector: "team=cart" });
  const tables = tablesOf(release, jane, bob);
  expect(tables.compiledOf("route-group", "release")).toMatchObject({
    members: ["jane-42", "bob-7"],
    missing: [],
    collisions: [{ workload: "shop/cart", wins: "jane-42", loses: ["bob-7"] }],
  });
  expect(tables.routesOf("shop/cart").get("release")?.route.sandbox).toBe("jane-42");
  expect(tables.routesOf("shop/web").get("release")?.route.sandbox).toBe("bob-7");
});

test("a route group follows its members as they come, change and go", () => {
  const tables = tablesOf(group("release", { sandboxes: ["jane-42"], labelSelector: "team=web" }));
  expect(tables.compiledOf("route-group", "release")?.missing).toEqual(["jane-42"]);
  tables.apply(step(null, sandbox("jane-42")));
  expect(tables.compiledOf("route-group", "release")?.missing).toEqual([]);
  const bob = sandbox("bob-7", { labels: { team: "web" } });
  tables.apply(step(null, bob));
  expect(tables.compiledOf("route-group", "release")?.members).toEqual(["jane-42", "bob-7"]);
  tables.apply(step(bob, sandbox("bob-7")));
  expect(tables.compiledOf("route-group", "release")?.members).toEqual(["jane-42"]);
  const changes = tables.apply(step(sandbox("jane-42"), null));
  expect([...changes.routes.keys()].sort()).toEqual(["jane-42", "release"]);
  expect(changes.keys.removed).toEqual(["jane-42"]);
});

test("more members than are allowed are cut by name, and that is said", () => {
  const tables = new Tables(limitsWith({ membersMax: 2 }));
  for (const name of ["c-1", "a-1", "b-1"]) {
    tables.apply(step(null, sandbox(name, { labels: { team: "x" } })));
  }
  tables.apply(step(null, group("release", { labelSelector: "team=x" })));
  expect(tables.compiledOf("route-group", "release")).toMatchObject({
    members: ["a-1", "b-1"],
    hasTooManyMembers: true,
  });
});

test("a preview says what a write would come to, and changes nothing", () => {
  const tables = tablesOf(sandbox("jane-42"), group("release", { labelSelector: "team=x" }));
  const before = contentOf(tables);
  const bob = sandbox("bob-7", { labels: { team: "x" } });
  expect(tables.preview(null, bob)).toMatchObject({
    keys: { added: ["bob-7"] },
    groups: ["release"],
  });
  expect(tables.preview(sandbox("jane-42"), null).keys.removed).toEqual(["jane-42"]);
  expect(contentOf(tables)).toEqual(before);
});

test("after any changes the tables are what compiling everything anew would give", () => {
  const name = fc.constantFrom("a-1", "b-1", "c-1", "d-1");
  const workload = fc.constantFrom("shop/cart", "shop/web");
  const change = fc.record({
    isGroup: fc.boolean(),
    name,
    isGone: fc.boolean(),
    workloads: fc.uniqueArray(workload),
    key: fc.constantFrom("k-1", "k-2", "k-3"),
    team: fc.constantFrom("x", "y"),
    members: fc.uniqueArray(name),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const tables = new Tables(CONTROL_LIMITS);
      const live = new Map<string, Resource>();
      for (const each of changes) {
        const id = `${each.isGroup}${each.name}`;
        const owner = [...live].find(([, one]) => one.spec.routingKey === each.key)?.[0];
        if (owner !== undefined && owner !== id) continue;
        const before = live.get(id) ?? null;
        const after = each.isGone ? null : made(each);
        tables.apply(step(before, after));
        if (after === null) live.delete(id);
        else live.set(id, after);
      }
      expect(contentOf(tables)).toEqual(contentOf(tablesOf(...live.values())));
    }),
  );
});

function made(each: {
  isGroup: boolean;
  name: string;
  workloads: string[];
  key: string;
  team: string;
  members: string[];
}): Resource {
  const { name, key: routingKey } = each;
  if (each.isGroup) {
    return group(name, { routingKey, sandboxes: each.members, labelSelector: `team=${each.team}` });
  }
  const forks = each.workloads.map((workload) => ({ workload, endpoints: [`127.0.0.1:1`] }));
  return sandbox(name, { routingKey, forks, labels: { team: each.team } });
}
