import { expect, test, vi } from "vitest";
import { SseReader } from "../../core/sse.ts";
import type { RunsEvent } from "../../core/watch-events.ts";
import { FakeClock, limitsWith } from "../control.fake.ts";
import type { ControlLimits } from "../model/limits.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { commitTo, putSandbox } from "../store/store.cases.ts";
import type { Store } from "../store/store.ts";
import { LiveTables } from "./live-tables.ts";
import { Watchers, type WatchRequest } from "./watchers.ts";

interface TakenEvent {
  readonly event: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects to be there
  readonly content: any;
}

/** Where a test's watcher writes: events as they come, and a queue that a test can fill. */
class RecordingSink {
  readonly events: TakenEvent[] = [];
  readonly written: Buffer[] = [];
  readonly #reader = new SseReader();
  queued = 0;
  isDropped = false;

  write(bytes: Buffer): void {
    this.written.push(bytes);
    const events = this.#reader.read(bytes.toString());
    if (!events.ok) throw new Error(events.error);
    for (const { event, id, data } of events.value) {
      this.events.push({ event, id, content: JSON.parse(data) });
    }
  }

  queuedBytes(): number {
    return this.queued;
  }

  drop(): void {
    this.isDropped = true;
  }

  /** Takes what came since it was last asked. */
  take(): TakenEvent[] {
    return this.events.splice(0);
  }
}

interface Setup {
  readonly store: Store;
  readonly live: LiveTables;
  readonly watchers: Watchers;
  readonly revision: (version: number) => string;
}

async function setUp(smaller: Partial<ControlLimits> = {}): Promise<Setup> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const limits = limitsWith(smaller);
  const store = new MemoryStore(limits);
  const live = new LiveTables(store.epoch, await store.read(), limits, new FakeClock());
  const watchers = new Watchers(live, limits);
  store.subscribe((commit) => {
    const entry = live.apply(commit);
    if (entry !== null) watchers.publish(entry);
  });
  return { store, live, watchers, revision: (version) => live.revisionOf(version) };
}

function watch(setup: Setup, request: Partial<WatchRequest> = {}) {
  const sink = new RecordingSink();
  const whole = { workloads: ["shop/cart"], namespace: null, lastRevision: null, ...request };
  const opened = setup.watchers.open(whole, sink);
  if (!opened.ok) throw new Error(opened.error);
  // Every stream begins with the runs that are open, which a test of its own looks at.
  expect(sink.events.pop()).toMatchObject({ event: "runs", content: { runs: [] } });
  sink.written.pop();
  return Object.assign(sink, { end: opened.value });
}

async function etag(setup: Setup, name: string): Promise<string> {
  const sandbox = await setup.store.get("sandbox", name);
  return `${sandbox?.uid}.${sandbox?.generation}`;
}

async function moveTo(setup: Setup, name: string, endpoint: string): Promise<void> {
  const forks = [{ workload: "shop/cart", endpoints: [endpoint] }];
  await commitTo(setup.store, putSandbox(name, { forks }, { expect: await etag(setup, name) }));
}

const AT_WEB = { forks: [{ workload: "shop/web", endpoints: ["127.0.0.1:9003"] }] };

test("a new watcher gets a snapshot: each workload that it asked for, and every key", async () => {
  const setup = await setUp();
  await commitTo(setup.store, putSandbox("jane-42"));
  await commitTo(setup.store, putSandbox("bob-7", AT_WEB));
  const cart = watch(setup, { workloads: ["shop/cart", "shop/pricing"] });
  expect(cart.take()).toEqual([
    {
      event: "snapshot",
      id: setup.revision(2),
      content: {
        revision: setup.revision(2),
        workloads: {
          "shop/cart": {
            routes: {
              "jane-42": {
                sandbox: "jane-42",
                endpoints: ["127.0.0.1:9002"],
                onUnavailable: "fail",
              },
            },
          },
          "shop/pricing": { routes: {} },
        },
        known: ["jane-42", "bob-7"],
        expired: [],
      },
    },
  ]);
});

test("a change of its own workload comes at once: keys under the old revision, routes under the new", async () => {
  const setup = await setUp();
  const cart = watch(setup);
  cart.take();
  await commitTo(setup.store, putSandbox("jane-42"));
  expect(cart.take()).toMatchObject([
    { event: "keys", id: setup.revision(0), content: { added: ["jane-42"] } },
    { event: "routes", id: setup.revision(1), content: { workload: "shop/cart" } },
  ]);
  await moveTo(setup, "jane-42", "127.0.0.1:9999");
  expect(cart.take()).toMatchObject([
    {
      event: "routes",
      id: setup.revision(2),
      content: { table: { routes: { "jane-42": { endpoints: ["127.0.0.1:9999"] } } } },
    },
  ]);
});

test("with several workloads changed only the last event has the new revision", async () => {
  const setup = await setUp();
  const both = watch(setup, { workloads: ["shop/cart", "shop/web"] });
  both.take();
  const forks = ["shop/cart", "shop/web"].map((workload) => ({ workload, endpoints: [] }));
  await commitTo(setup.store, putSandbox("jane-42", { forks }));
  expect(both.take().map(({ event, id }) => [event, id])).toEqual([
    ["keys", setup.revision(0)],
    ["routes", setup.revision(0)],
    ["routes", setup.revision(1)],
  ]);
});

test("others get keys at once, then at most one event in the window", async () => {
  const setup = await setUp();
  const web = watch(setup, { workloads: ["shop/web"] });
  web.take();
  for (const name of ["a-1", "b-1", "c-1"]) await commitTo(setup.store, putSandbox(name));
  expect(web.take()).toMatchObject([
    { event: "keys", id: setup.revision(1), content: { added: ["a-1"] } },
  ]);
  vi.advanceTimersByTime(100);
  expect(web.take()).toMatchObject([
    { event: "keys", id: setup.revision(3), content: { added: ["b-1", "c-1"] } },
  ]);
  vi.advanceTimersByTime(100);
  expect(web.take()).toEqual([]);
  await commitTo(setup.store, putSandbox("d-1"));
  expect(web.take()).toMatchObject([{ id: setup.revision(4), content: { added: ["d-1"] } }]);
});

test("keys that wait come together with the routes of the watcher's own workload", async () => {
  const setup = await setUp();
  const web = watch(setup, { workloads: ["shop/web"] });
  web.take();
  await commitTo(setup.store, putSandbox("a-1"));
  await commitTo(setup.store, putSandbox("b-1"));
  web.take();
  await commitTo(setup.store, putSandbox("c-1", AT_WEB));
  expect(web.take()).toMatchObject([
    { event: "keys", id: setup.revision(1), content: { added: ["b-1", "c-1"] } },
    { event: "routes", id: setup.revision(3) },
  ]);
  vi.advanceTimersByTime(200);
  expect(web.take()).toEqual([]);
});

test("a key that came and went in one window is told by its last state", async () => {
  const setup = await setUp();
  const web = watch(setup, { workloads: ["shop/web"] });
  await commitTo(setup.store, putSandbox("a-1"));
  web.take();
  await commitTo(setup.store, putSandbox("b-1"));
  const expected = await etag(setup, "b-1");
  await commitTo(setup.store, {
    op: "remove",
    kind: "sandbox",
    name: "b-1",
    expect: expected,
    tombstoneUntilMs: 9_000,
  });
  vi.advanceTimersByTime(100);
  expect(web.take()).toMatchObject([{ content: { added: [], removed: [], expired: ["b-1"] } }]);
});

test("a change of other workloads' routes alone tells nobody else", async () => {
  const setup = await setUp();
  await commitTo(setup.store, putSandbox("jane-42"));
  const web = watch(setup, { workloads: ["shop/web"] });
  web.take();
  await moveTo(setup, "jane-42", "127.0.0.1:9999");
  vi.advanceTimersByTime(200);
  expect(web.take()).toEqual([]);
});

test("whoever watches a namespace gets all workloads of it, new ones too", async () => {
  const setup = await setUp();
  await commitTo(setup.store, putSandbox("jane-42"));
  const shop = watch(setup, { workloads: [], namespace: "shop" });
  expect(Object.keys(shop.take()[0]?.content.workloads)).toEqual(["shop/cart"]);
  await commitTo(setup.store, putSandbox("bob-7", AT_WEB));
  expect(shop.take().map(({ event }) => event)).toEqual(["keys", "routes"]);
  const elsewhere = { forks: [{ workload: "bank/web", endpoints: [] }] };
  await commitTo(setup.store, putSandbox("eve-1", elsewhere));
  vi.advanceTimersByTime(100);
  expect(shop.take().map(({ event }) => event)).toEqual(["keys"]);
});

test("a watcher that was away gets what it missed, and only that", async () => {
  const setup = await setUp();
  await commitTo(setup.store, putSandbox("jane-42"));
  const lastRevision = setup.revision(1);
  await commitTo(setup.store, putSandbox("a-1"));
  await commitTo(setup.store, putSandbox("b-1", AT_WEB));
  const cart = watch(setup, { lastRevision });
  expect(cart.take()).toMatchObject([
    { event: "keys", id: lastRevision, content: { added: ["a-1", "b-1"] } },
    { event: "routes", id: setup.revision(3), content: { workload: "shop/cart" } },
  ]);
});

test("a watcher that missed nothing is told so by an empty event", async () => {
  const setup = await setUp();
  await commitTo(setup.store, putSandbox("jane-42"));
  const cart = watch(setup, { lastRevision: setup.revision(1) });
  expect(cart.take()).toEqual([
    { event: "keys", id: setup.revision(1), content: { added: [], removed: [], expired: [] } },
  ]);
});

test("a revision that is too old, of another store or unreadable is answered with a snapshot", async () => {
  const setup = await setUp({ historyRevisionsMax: 4 });
  for (let i = 0; i < 20; i++) await commitTo(setup.store, putSandbox(`s-${i}`));
  for (const lastRevision of [setup.revision(1), "0123abcd.20", "nonsense", ""]) {
    expect(watch(setup, { lastRevision }).take()[0]?.event).toBe("snapshot");
  }
  expect(watch(setup, { lastRevision: setup.revision(17) }).take()[0]?.event).toBe("keys");
});

test("a revision that this store has not reached is refused: the proxy knows more", async () => {
  const setup = await setUp();
  const sink = new RecordingSink();
  const lastRevision = setup.revision(7);
  const request = { workloads: ["shop/cart"], namespace: null, lastRevision };
  expect(setup.watchers.open(request, sink)).toEqual({ ok: false, error: "revision-ahead" });
  expect(setup.watchers.count).toBe(0);
});

test("a watcher that does not read is dropped at its bound, and can resume", async () => {
  const setup = await setUp({ watcherQueuedBytesMax: 1_000 });
  const slow = watch(setup);
  const swift = watch(setup);
  await commitTo(setup.store, putSandbox("a-1"));
  slow.queued = 1_001;
  await commitTo(setup.store, putSandbox("b-1"));
  expect(slow.isDropped).toBe(true);
  expect(setup.watchers).toMatchObject({ count: 1, droppedCount: 1 });
  expect(swift.isDropped).toBe(false);
  const lastRevision = slow.events.at(-1)?.id ?? "";
  const again = watch(setup, { lastRevision });
  expect(again.take().map(({ event }) => event)).toEqual(["keys", "routes"]);
});

test("an event is encoded once for all who get it", async () => {
  const setup = await setUp();
  const [a, b] = [watch(setup), watch(setup)];
  expect(a.written.at(-1)).toBe(b.written.at(-1));
  await commitTo(setup.store, putSandbox("jane-42"));
  expect(a.written.slice(-2)).toEqual(b.written.slice(-2));
  expect(a.written.at(-1)).toBe(b.written.at(-1));
  expect(a.written.at(-2)).toBe(b.written.at(-2));
});

test("heartbeat and flush go to all, without an id of their own", async () => {
  const setup = await setUp();
  const cart = watch(setup);
  cart.take();
  setup.watchers.heartbeat();
  setup.watchers.flush("f-1");
  expect(cart.written.slice(-2).map(String)).toEqual([
    `event: heartbeat\ndata: {"revision":"${setup.revision(0)}"}\n\n`,
    'event: flush\ndata: {"flush":"f-1"}\n\n',
  ]);
});

test("a watcher that nothing concerned for longer than the history goes back is still served", async () => {
  const setup = await setUp({ historyRevisionsMax: 2 });
  await commitTo(setup.store, putSandbox("jane-42"));
  const web = watch(setup, { workloads: ["shop/web"] });
  web.take();
  for (let i = 1; i < 20; i++) await moveTo(setup, "jane-42", `127.0.0.1:${i}`);
  await commitTo(setup.store, putSandbox("bob-7", AT_WEB));
  expect(web.take().at(-1)).toMatchObject({ event: "snapshot", id: setup.revision(21) });
  vi.advanceTimersByTime(200);
  for (let i = 1; i < 20; i++) {
    await moveTo(setup, "jane-42", `127.0.0.2:${i}`);
    setup.watchers.heartbeat();
  }
  web.take();
  const moved = { forks: [{ workload: "shop/web", endpoints: [] }] };
  await commitTo(setup.store, putSandbox("bob-7", moved, { expect: await etag(setup, "bob-7") }));
  expect(web.take().map(({ event }) => event)).toEqual(["routes"]);
});

test("there are no more watchers than are allowed, and one that ends makes room", async () => {
  const setup = await setUp({ watchersMax: 1 });
  const first = watch(setup);
  expect(() => watch(setup)).toThrow("too-many");
  first.end();
  expect(setup.watchers.count).toBe(0);
  watch(setup);
  setup.watchers.close();
  expect(setup.watchers.count).toBe(0);
});

test("who comes while a run is open hears of it after the table, others when it changes", async () => {
  const { live } = await setUp();
  let runs: RunsEvent["runs"] = [{ id: "r1", kind: "propagation", forMs: 500 }];
  const watchers = new Watchers(live, limitsWith({}), () => runs);
  const sink = new RecordingSink();
  watchers.open({ workloads: ["shop/cart"], namespace: null, lastRevision: null }, sink);
  expect(sink.take().map(({ event }) => event)).toEqual(["snapshot", "runs"]);
  runs = [];
  watchers.announceRuns();
  expect(sink.take()).toMatchObject([{ event: "runs", content: { runs: [] } }]);
  const late = new RecordingSink();
  watchers.open({ workloads: ["shop/cart"], namespace: null, lastRevision: null }, late);
  // A run may have ended while it was away: it hears of none.
  expect(late.take()).toMatchObject([
    { event: "snapshot" },
    { event: "runs", content: { runs: [] } },
  ]);
});
