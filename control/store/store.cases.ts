/** What every store has to do: run by the tests of each. */
import { expect, test } from "vitest";
import { limitsWith } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { etagOf } from "../model/resource.ts";
import type { RouteGroupSpec } from "../model/route-group.ts";
import type { SandboxSpec } from "../model/sandbox.ts";
import type { Change, Commit, Store } from "./store.ts";

type Put = Extract<Change, { op: "put" }>;
type PutOptions = Partial<Pick<Put, "expect" | "nowMs">>;

/** A sandbox's spec that is valid. */
export function sandboxSpec(spec: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:9002"] }],
    routingKey: "jane-42",
    labels: {},
    onUnavailable: "fail",
    ttl: {},
    ...spec,
  };
}

/** A change that puts a sandbox whose key is its name. */
export function putSandbox(
  name: string,
  spec: Partial<SandboxSpec> = {},
  options: PutOptions = {},
): Change {
  const whole = sandboxSpec({ routingKey: name, ...spec });
  return { op: "put", kind: "sandbox", name, spec: whole, expect: null, nowMs: 1_000, ...options };
}

function putGroup(name: string, spec: Partial<RouteGroupSpec> = {}): Change {
  const whole: RouteGroupSpec = {
    sandboxes: ["jane-42"],
    labelSelector: null,
    routingKey: name,
    labels: {},
    ttl: {},
    ...spec,
  };
  return { op: "put", kind: "route-group", name, spec: whole, expect: null, nowMs: 1_000 };
}

/** Commits and expects it to be taken. */
export async function commitTo(store: Store, ...changes: Change[]): Promise<Commit> {
  const result = await store.commit(changes);
  if (!result.ok) throw new Error(`conflict: ${result.error.code}`);
  return result.value;
}

async function conflictOf(store: Store, ...changes: Change[]): Promise<unknown> {
  const result = await store.commit(changes);
  return result.ok ? null : result.error;
}

async function etagIn(store: Store, name: string): Promise<string> {
  const sandbox = await store.get("sandbox", name);
  if (sandbox === null) throw new Error(`no sandbox ${name}`);
  return etagOf(sandbox);
}

/** Runs the suite on stores that `open` makes, each empty. */
export function storeCases(open: (limits: ControlLimits) => Promise<Store>): void {
  const empty = () => open(limitsWith({}));

  test("a store begins empty, at version 0, with an epoch of its own", async () => {
    const [a, b] = [await empty(), await empty()];
    expect(await a.read()).toEqual({ version: 0, resources: [], tombstones: [] });
    expect(a.epoch).toMatch(/^[a-z0-9]{8,32}$/);
    expect(a.epoch).not.toBe(b.epoch);
  });

  test("what was put can be read, and each change of it is a version and a generation", async () => {
    const store = await empty();
    expect((await commitTo(store, putSandbox("jane-42"))).version).toBe(1);
    const first = await store.get("sandbox", "jane-42");
    expect(first).toMatchObject({ generation: 1, version: 1, createdMs: 1_000, updatedMs: 1_000 });
    const expected = await etagIn(store, "jane-42");
    const change = { onUnavailable: "baseline" } as const;
    await commitTo(store, putSandbox("jane-42", change, { expect: expected, nowMs: 2_000 }));
    expect(await store.get("sandbox", "jane-42")).toMatchObject({
      uid: first?.uid,
      generation: 2,
      version: 2,
      createdMs: 1_000,
      updatedMs: 2_000,
      spec: change,
    });
    expect((await store.read()).version).toBe(2);
  });

  test("a put that changes nothing is no version, but a sign of use", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("jane-42"));
    const expected = await etagIn(store, "jane-42");
    const again = putSandbox("jane-42", {}, { expect: expected, nowMs: 5_000 });
    expect((await commitTo(store, again)).version).toBe(1);
    const sandbox = await store.get("sandbox", "jane-42");
    expect(sandbox).toMatchObject({ generation: 1, version: 1, updatedMs: 5_000 });
    expect(await etagIn(store, "jane-42")).toBe(expected);
  });

  test("a write on another state than the caller saw is a conflict, and changes nothing", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("jane-42"));
    const stale = { expect: `${"0".repeat(16)}.1` };
    expect(await conflictOf(store, putSandbox("jane-42"))).toEqual({ code: "changed" });
    expect(await conflictOf(store, putSandbox("jane-42", {}, stale))).toEqual({ code: "changed" });
    expect(await conflictOf(store, putSandbox("new", {}, stale))).toEqual({ code: "changed" });
    expect(await conflictOf(store, removal("jane-42", stale.expect))).toEqual({ code: "changed" });
    expect(await conflictOf(store, removal("gone", stale.expect))).toEqual({ code: "changed" });
    expect((await store.read()).version).toBe(1);
  });

  test("two resources never share a key, whatever their kinds", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("jane-42"));
    const taken = { code: "key-taken", key: "jane-42", by: { kind: "sandbox", name: "jane-42" } };
    expect(await conflictOf(store, putSandbox("bob", { routingKey: "jane-42" }))).toMatchObject(
      taken,
    );
    expect(await conflictOf(store, putGroup("release", { routingKey: "jane-42" }))).toMatchObject(
      taken,
    );
    await commitTo(store, putGroup("release"));
    expect(await conflictOf(store, putSandbox("bob", { routingKey: "release" }))).toMatchObject({
      by: { kind: "route-group", name: "release" },
    });
  });

  test("a key is free again when its owner is gone or has another one", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("jane-42"));
    const expected = await etagIn(store, "jane-42");
    await commitTo(store, putSandbox("jane-42", { routingKey: "other" }, { expect: expected }));
    await commitTo(store, putSandbox("bob", { routingKey: "jane-42" }));
    await commitTo(store, removal("bob", await etagIn(store, "bob")));
    await commitTo(store, putSandbox("eve", { routingKey: "jane-42" }));
    expect((await store.get("sandbox", "eve"))?.spec.routingKey).toBe("jane-42");
  });

  test("one that was deleted and made again is another", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("jane-42"));
    const before = await etagIn(store, "jane-42");
    await commitTo(store, removal("jane-42", before));
    expect(await store.get("sandbox", "jane-42")).toBeNull();
    await commitTo(store, putSandbox("jane-42"));
    expect(await etagIn(store, "jane-42")).not.toBe(before);
  });

  test("several changes are one version, or none of them happens", async () => {
    const store = await empty();
    expect((await commitTo(store, putSandbox("a-1"), putSandbox("b-1"))).version).toBe(1);
    const doomed = [putSandbox("c-1"), putSandbox("a-1")];
    expect(await conflictOf(store, ...doomed)).toEqual({ code: "changed" });
    expect(await store.get("sandbox", "c-1")).toBeNull();
    const same = [putSandbox("d-1"), putSandbox("e-1", { routingKey: "d-1" })];
    expect(await conflictOf(store, ...same)).toMatchObject({ code: "key-taken", key: "d-1" });
    expect((await store.read()).version).toBe(1);
  });

  test("lists are in the order of names, by kind, page and choice", async () => {
    const store = await empty();
    for (const name of ["c-1", "a-1", "d-1", "b-1"]) {
      await commitTo(
        store,
        putSandbox(name, { labels: { even: String("bd".includes(name[0] ?? "")) } }),
      );
    }
    await commitTo(store, putGroup("group"));
    const names = async (query: Parameters<typeof store.list<"sandbox">>[1]) =>
      (await store.list("sandbox", query)).map((each) => each.name);
    expect(await names({ after: null, limit: 10 })).toEqual(["a-1", "b-1", "c-1", "d-1"]);
    expect(await names({ after: "a-1", limit: 2 })).toEqual(["b-1", "c-1"]);
    expect(await names({ after: "b-0", limit: 1 })).toEqual(["b-1"]);
    expect(await names({ after: "d-1", limit: 2 })).toEqual([]);
    const matches = (each: { spec: SandboxSpec }) => each.spec.labels["even"] === "true";
    expect(await names({ after: null, limit: 1, matches })).toEqual(["b-1"]);
    await commitTo(store, removal("b-1", await etagIn(store, "b-1")));
    expect(await names({ after: null, limit: 10 })).toEqual(["a-1", "c-1", "d-1"]);
  });

  test("there are no more sandboxes and route groups than are allowed", async () => {
    const store = await open(limitsWith({ sandboxesMax: 2, routeGroupsMax: 1 }));
    await commitTo(store, putSandbox("a-1"), putSandbox("b-1"));
    const full = { code: "full", kind: "sandbox", limit: 2 };
    expect(await conflictOf(store, putSandbox("c-1"))).toEqual(full);
    await commitTo(store, putGroup("g-1"));
    expect(await conflictOf(store, putGroup("g-2"))).toMatchObject({ code: "full", limit: 1 });
    const expected = await etagIn(store, "a-1");
    await commitTo(store, putSandbox("a-1", { labels: { a: "b" } }, { expect: expected }));
  });

  test("an expired key is remembered until it is forgotten or lives again", async () => {
    const store = await empty();
    await commitTo(store, putSandbox("a-1"), putSandbox("b-1"));
    for (const name of ["a-1", "b-1"]) {
      await commitTo(store, removal(name, await etagIn(store, name), 9_000));
    }
    expect((await store.read()).tombstones).toEqual([
      { key: "a-1", untilMs: 9_000 },
      { key: "b-1", untilMs: 9_000 },
    ]);
    const reborn = await commitTo(store, putSandbox("c-1", { routingKey: "a-1" }));
    expect(reborn.forgotten).toEqual(["a-1"]);
    const forgotten = await commitTo(store, { op: "forget", key: "b-1" });
    expect(forgotten).toMatchObject({ version: 5, forgotten: ["b-1"] });
    expect(await commitTo(store, { op: "forget", key: "b-1" })).toMatchObject({ version: 5 });
    expect((await store.read()).tombstones).toEqual([]);
  });

  test("only so many expired keys are remembered: the oldest goes", async () => {
    const store = await open(limitsWith({ tombstonesMax: 2 }));
    for (const name of ["a-1", "b-1", "c-1"]) {
      await commitTo(store, putSandbox(name));
      await commitTo(store, removal(name, await etagIn(store, name), 9_000));
    }
    expect((await store.read()).tombstones.map((each) => each.key)).toEqual(["b-1", "c-1"]);
  });

  test("listeners hear of each commit, in the turn in which it was kept, until they leave", async () => {
    const store = await empty();
    const heard: number[] = [];
    const leave = store.subscribe((commit) => heard.push(commit.version));
    const committed = store.commit([putSandbox("a-1")]);
    await committed;
    expect(heard).toEqual([1]);
    await conflictOf(store, putSandbox("a-1"));
    leave();
    await commitTo(store, putSandbox("b-1"));
    expect(heard).toEqual([1]);
  });

  test("a commit says what was there before and what is there after", async () => {
    const store = await empty();
    const created = await commitTo(store, putSandbox("a-1"));
    expect(created.steps).toMatchObject([{ before: null, after: { name: "a-1" } }]);
    const removed = await commitTo(store, removal("a-1", await etagIn(store, "a-1"), 9_000));
    expect(removed).toMatchObject({
      version: 2,
      steps: [{ before: { name: "a-1" }, after: null }],
      buried: [{ key: "a-1", untilMs: 9_000 }],
    });
  });
}

function removal(name: string, expected: string, tombstoneUntilMs: number | null = null): Change {
  return { op: "remove", kind: "sandbox", name, expect: expected, tombstoneUntilMs };
}
