import { expect, test } from "vitest";
import { FakeClock, limitsWith } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { commitTo, putSandbox } from "../store/store.cases.ts";
import { History, mergeKeyChanges } from "./history.ts";
import { LiveTables } from "./live-tables.ts";

async function setUp(smaller: Partial<ControlLimits> = {}) {
  const limits = limitsWith(smaller);
  const clock = new FakeClock();
  const store = new MemoryStore(limits);
  const open = async () => new LiveTables(store.epoch, await store.read(), limits, clock);
  const live = await open();
  store.subscribe((commit) => live.apply(commit));
  const etag = async (name: string) => {
    const sandbox = await store.get("sandbox", name);
    return `${sandbox?.uid}.${sandbox?.generation}`;
  };
  return { clock, store, live, open, etag };
}

const AT = (workload: string) => ({ forks: [{ workload, endpoints: ["127.0.0.1:9002"] }] });

test("what a sandbox needs is the version of its own changes, not of others'", async () => {
  const { clock, store, live, etag } = await setUp();
  await commitTo(store, putSandbox("jane-42"));
  clock.advance(500);
  await commitTo(store, putSandbox("bob-7"));
  const relabelled = putSandbox(
    "jane-42",
    { labels: { a: "b" } },
    { expect: await etag("jane-42") },
  );
  await commitTo(store, relabelled);
  expect(live.version).toBe(3);
  const question = live.readyQuestion("sandbox", "jane-42");
  expect(question).toMatchObject({ keyVersion: 1, sinceWriteMs: 500 });
  expect([...(question?.routeVersions ?? [])]).toEqual([["shop/cart", 1]]);
  expect(live.readyQuestion("sandbox", "absent")).toBeNull();
});

test("a workload that is forked no longer is still waited for", async () => {
  const { store, live, etag } = await setUp();
  await commitTo(store, putSandbox("jane-42"));
  await commitTo(store, putSandbox("jane-42", AT("shop/web"), { expect: await etag("jane-42") }));
  const question = live.readyQuestion("sandbox", "jane-42");
  expect([...(question?.forks.keys() ?? [])]).toEqual(["shop/web"]);
  expect([...(question?.routeVersions ?? [])]).toEqual([
    ["shop/cart", 2],
    ["shop/web", 2],
  ]);
});

test("after a restart everything needs the version that the store had, and waits for nobody else", async () => {
  const { store, live, open } = await setUp();
  await commitTo(store, putSandbox("jane-42"));
  await commitTo(store, putSandbox("bob-7"));
  const again = await open();
  expect(again.revision).toBe(live.revision);
  expect(again.readyQuestion("sandbox", "jane-42")).toMatchObject({
    keyVersion: 2,
    sinceWriteMs: Number.POSITIVE_INFINITY,
  });
  expect(again.history.since(1)).toBeNull();
  expect(again.history.since(2)).toEqual([]);
});

test("versions of workloads that are gone are not kept for ever", async () => {
  const { store, live, etag } = await setUp({ sandboxesMax: 3, historyRevisionsMax: 1 });
  for (let i = 0; i < 20; i++) {
    await commitTo(store, putSandbox("jane-42", AT(`shop/w${i}`), { expect: null }));
    await commitTo(store, {
      op: "remove",
      kind: "sandbox",
      name: "jane-42",
      expect: await etag("jane-42"),
      tombstoneUntilMs: null,
    });
  }
  expect(live.workloadVersion("shop/w0")).toBe(0);
  expect(live.workloadVersion("shop/w19")).toBe(40);
});

test("the history keeps its last revisions, and says where it ends", () => {
  const history = new History(0, 3);
  const keys = { added: [], removed: [], expired: [] };
  for (let version = 1; version <= 6; version++) {
    history.add({ version, workloads: new Set(), keys });
  }
  expect(history.from).toBe(3);
  expect(history.since(2)).toBeNull();
  expect(history.since(3)?.map((each) => each.version)).toEqual([4, 5, 6]);
  expect(history.since(6)).toEqual([]);
});

test("merged changes of keys hold each key once, by its last state", () => {
  const none = { added: [], removed: [], expired: [] };
  const entry = (keys: Partial<typeof none>) => ({
    version: 1,
    workloads: new Set<string>(),
    keys: { ...none, ...keys } as Parameters<typeof mergeKeyChanges>[0][number]["keys"],
  });
  const merged = mergeKeyChanges([
    entry({ added: ["a", "b"] as never[] }),
    entry({ expired: ["a"] as never[] }),
    entry({ removed: ["b"] as never[] }),
    entry({ added: ["b"] as never[] }),
  ]);
  expect(merged).toEqual({ added: ["b"], removed: [], expired: ["a"] });
});
