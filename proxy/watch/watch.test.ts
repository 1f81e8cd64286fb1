import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LEASE_MS } from "../../core/proxy-status.ts";
import { decide } from "../routing/decide.ts";
import { workloadTable } from "../routing/table.ts";
import { parseTagValue } from "../routing/tag.ts";
import { FakeControl } from "./control.fake.ts";
import { PROXY_VERSION } from "./watch.ts";
import { newWatch, type WatchedProxy } from "./watched-proxy.fake.ts";

const DAY_MS = 24 * 60 * 60_000;

let control: FakeControl;
let stateDir: string;
const started: WatchedProxy[] = [];

beforeEach(async () => {
  control = new FakeControl();
  await control.start();
  stateDir = await mkdtemp(path.join(tmpdir(), "forklane-watch-"));
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(started.splice(0).map(({ watch }) => watch.flushAndLeave()));
  await control.kill();
  await rm(stateDir, { recursive: true });
});

async function start(...options: Parameters<typeof newWatch>): Promise<WatchedProxy> {
  const proxy = newWatch(...options);
  started.push(proxy);
  await proxy.watch.start();
  return proxy;
}

/** Sends a table with one fork of `jane-42` to each new watch that does not resume. */
function serve(revision: string, known: readonly string[] = []): void {
  control.onWatch = (watch) => {
    if (watch.lastEventId === null) control.sendSnapshot(revision, table(known), watch);
  };
}

function table(known: readonly string[] = [], endpoints: readonly string[] = ["127.0.0.1:1"]) {
  const routes = { "jane-42": { sandbox: "jane-42", endpoints } };
  return { workloads: { "shop/cart": { routes } }, known: ["jane-42", ...known], expired: [] };
}

/** Where a request with this tag goes now, and why. */
function route(proxy: WatchedProxy, tag: string): string {
  const latest = proxy.tables.at(-1);
  if (latest === undefined) return "table-unknown";
  const { outcome, reason } = decide(workloadTable(latest, "shop/cart"), parseTagValue(tag));
  return `${outcome} ${reason}`;
}

describe("a watch", () => {
  it("asks for its workload, names itself, and serves the first snapshot", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    const [opened] = control.watches;
    expect(opened?.url.searchParams.getAll("workload")).toEqual(["shop/cart"]);
    expect(opened?.url.searchParams.get("instance")).toBe("cart-1");
    expect(opened?.protocol).toBe("1");
    expect(proxy.watch.state).toBe("current");
    expect(proxy.watch.revision).toBe("e.1");
    expect(route(proxy, "jane-42")).toBe("fork fork");
    expect(route(proxy, "pr-7")).toBe("baseline unknown-key");
  });

  it("applies changes of routes and of keys, and tells control the revision at once", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.1"]);
    control.send("keys", { added: ["pr-7"], removed: [], expired: [] }, "e.1");
    const routes = { "pr-7": { sandbox: "pr-7", endpoints: ["127.0.0.1:2"] } };
    control.send("routes", { workload: "shop/cart", table: { routes } }, "e.2");
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.2"]);
    expect(route(proxy, "pr-7")).toBe("fork fork");
    expect(route(proxy, "jane-42")).toBe("baseline not-forked");
    control.send("keys", { added: [], removed: [], expired: ["pr-7"] }, "e.3");
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.3"]);
    expect(control.lastStatus).toMatchObject({
      workloads: ["shop/cart"],
      mode: "inbound",
      sandbox: null,
      listen: "127.0.0.1:8110",
      admin: null,
      leaseMs: LEASE_MS,
      rejected: null,
      leaving: false,
    });
  });

  it("ignores events that it does not know", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    control.send("injections", { any: "thing" }, "e.1");
    control.send("keys", { added: ["pr-7"], removed: [], expired: [] }, "e.2");
    await expect.poll(() => proxy.watch.revision).toBe("e.2");
    expect(control.watches).toHaveLength(1);
  });

  it("shows its token, read anew for each connection", async () => {
    serve("e.1");
    const file = path.join(stateDir, "token");
    await writeFile(file, "first\n");
    await start(control.url, { "token-file": file });
    await writeFile(file, "second\n");
    control.watches[0]?.response.destroy();
    await expect.poll(() => control.watches).toHaveLength(2);
    expect(control.watches.map(({ authorization }) => authorization)).toEqual([
      "Bearer first",
      "Bearer second",
    ]);
  });
});

describe("without control", () => {
  it("a start serves the baseline, says so once, and goes on when control comes", async () => {
    await control.kill();
    const proxy = await start(control.url, {}, { firstTableMs: 400 });
    expect(proxy.watch.state).toBe("table-unknown");
    expect(proxy.watch.stalenessMs).toBeNull();
    expect(proxy.tables).toEqual([]);
    expect(proxy.log.filter((line) => line.includes("serving the baseline"))).toHaveLength(1);
    serve("e.1");
    await control.start();
    await expect.poll(() => proxy.watch.state, { timeout: 10_000 }).toBe("current");
    expect(proxy.log.at(-1)).toBe("control is back");
  });

  it("a proxy keeps its table, is fenced after the lease, and not any more when it is back", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    await control.kill();
    await expect.poll(() => proxy.log.some((line) => line.includes("is lost"))).toBe(true);
    proxy.clock.ms += LEASE_MS;
    expect(route(proxy, "pr-7!")).toBe("refused unknown-key");
    proxy.clock.ms += 1;
    await expect.poll(() => proxy.watch.state).toBe("stale");
    expect(proxy.watch.stalenessMs).toBe(LEASE_MS + 1);
    expect(route(proxy, "jane-42!")).toBe("fork fork");
    expect(route(proxy, "pr-7!")).toBe("refused table-stale");
    expect(route(proxy, "pr-7")).toBe("baseline unknown-key");

    await control.start();
    await expect.poll(() => control.watches, { timeout: 10_000 }).toHaveLength(2);
    expect(control.watches[1]?.lastEventId).toBe("e.1");
    expect(proxy.watch.state).toBe("stale");
    control.send("heartbeat", { revision: "e.1" });
    await expect.poll(() => proxy.watch.state).toBe("current");
    expect(route(proxy, "pr-7!")).toBe("refused unknown-key");
  });

  it("no table is used for longer than 24 hours, and the next one has to be whole", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    await control.kill();
    proxy.clock.ms += DAY_MS + 1;
    await expect.poll(() => proxy.watch.state).toBe("table-unknown");
    expect(route(proxy, "jane-42!")).toBe("refused table-unknown");
    await control.start();
    await expect.poll(() => proxy.watch.state, { timeout: 10_000 }).toBe("current");
    expect(control.watches[1]?.lastEventId).toBeNull();
  });

  it("a silent control is as good as none: the stream is opened anew", async () => {
    serve("e.1");
    await start(control.url, {}, { heartbeatTimeoutMs: 50 });
    await expect.poll(() => control.watches.length).toBeGreaterThan(1);
    expect(control.watches[1]?.lastEventId).toBe("e.1");
  });

  it("one that speaks another protocol, or none, is told apart from one that is away", async () => {
    control.protocol = "2";
    const proxy = await start(control.url, {}, { firstTableMs: 50 });
    await expect.poll(() => proxy.log.join()).toContain("protocol");
    control.protocol = "1";
    control.contentType = "text/html";
    const other = await start(control.url, {}, { firstTableMs: 50 });
    await expect.poll(() => other.log.join()).toContain("event stream");
    control.watchStatus = 401;
    const third = await start(control.url, {}, { firstTableMs: 50 });
    await expect.poll(() => third.log.join()).toContain("401");
    expect([proxy, other, third].map(({ watch }) => watch.state)).toEqual(
      Array(3).fill("table-unknown"),
    );
  });
});

const E2 = '"revision":"e.2","workloads":{"shop/cart":{"routes":{}}}';

describe("a table is kept out", () => {
  it("when it does not parse: control is told, and asked for a whole one", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    control.onWatch = () => {};
    control.send("routes", { workload: "shop/cart", table: { routes: 7 } }, "e.2");
    await expect.poll(() => control.watches).toHaveLength(2);
    expect(control.watches[1]?.lastEventId).toBeNull();
    expect(route(proxy, "jane-42")).toBe("fork fork");
    expect(proxy.watch.rejectedCounts.unreadable).toBe(1);
    await expect.poll(() => control.lastStatus?.rejected?.revision).toBe("e.2");
    expect(control.lastStatus).toMatchObject({ applied: ["e.1"] });
    expect(control.lastStatus?.rejected?.why).toContain("unreadable");

    control.sendSnapshot("e.3", table(), control.watches[1]);
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.3"]);
    expect(control.lastStatus?.rejected).toBeNull();
  });

  it.each([
    ["is no JSON", "{"],
    ["is nested deeper than any table", `{${E2},"x":${"[".repeat(50)}${"]".repeat(50)}}`],
    ["is null", "null"],
    ["is a number", "7"],
    ["has no workloads", '{"revision":"e.2"}'],
    ["lacks the proxy's own workload", '{"revision":"e.2","workloads":{}}'],
    ["says another revision", '{"revision":"e.9","workloads":{"shop/cart":{"routes":{}}}}'],
  ])("when the snapshot %s", async (_, data) => {
    serve("e.1");
    const proxy = await start(control.url);
    const [opened] = control.watches;
    control.onWatch = () => {};
    opened?.response.write(`id: e.2\nevent: snapshot\ndata: ${data}\n\n`);
    await expect.poll(() => proxy.watch.rejectedCounts.unreadable).toBe(1);
    expect(proxy.watch.revision).toBe("e.1");
    expect(route(proxy, "jane-42")).toBe("fork fork");
  });

  it("when it is older than the one in use", async () => {
    serve("e.5");
    const proxy = await start(control.url);
    control.sendSnapshot("e.4", table(["pr-7"]));
    await expect.poll(() => proxy.watch.rejectedCounts.older).toBe(1);
    expect(proxy.watch.revision).toBe("e.5");
    expect(route(proxy, "pr-7!")).toBe("refused unknown-key");
    await expect.poll(() => control.watches).toHaveLength(2);
    expect(control.watches[1]?.lastEventId).toBe("e.5");
  });

  it("when a change is of another epoch; a whole snapshot of it is taken", async () => {
    serve("e.5");
    const proxy = await start(control.url);
    control.onWatch = (watch) => control.sendSnapshot("f.1", table(["pr-7"]), watch);
    control.send("keys", { added: ["other"], removed: [], expired: [] }, "f.1");
    await expect.poll(() => proxy.watch.revision).toBe("f.1");
    expect(proxy.watch.rejectedCounts["other-epoch"]).toBe(1);
    expect(control.watches[1]?.lastEventId).toBeNull();
    expect(route(proxy, "pr-7")).toBe("baseline not-forked");
    expect(route(proxy, "other")).toBe("baseline unknown-key");
  });

  it("when it changes one that was never sent", async () => {
    control.onWatch = () =>
      control.send("keys", { added: ["pr-7"], removed: [], expired: [] }, "e.2");
    const proxy = await start(control.url, {}, { firstTableMs: 50 });
    await expect.poll(() => proxy.watch.rejectedCounts["out-of-sync"]).toBeGreaterThan(0);
    expect(proxy.watch.state).toBe("table-unknown");
  });

  it("and heartbeats do not make the one in use look fresh", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    control.onWatch = ({ response }) => {
      response.write("id: e.2\nevent: snapshot\ndata: {}\n\n");
      control.send("heartbeat", { revision: "e.2" });
    };
    control.watches[0]?.response.write("id: e.2\nevent: snapshot\ndata: {}\n\n");
    await expect.poll(() => control.watches.length).toBeGreaterThan(1);
    proxy.clock.ms += LEASE_MS + 1;
    await expect.poll(() => proxy.watch.state).toBe("stale");
  });
});

describe("a start", () => {
  it("goes on without a table after five seconds", async () => {
    await control.kill();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let isStarted = false;
    const starting = start(control.url).then((proxy) => {
      isStarted = true;
      return proxy;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(isStarted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect((await starting).watch.state).toBe("table-unknown");
  });
});

describe("a restart", () => {
  it("without control serves the table on disk, fenced, and resumes from it", async () => {
    serve("e.1");
    const flags = { "state-dir": stateDir };
    const before = await start(control.url, flags);
    await before.watch.flushAndLeave();
    await control.kill();

    const after = await start(control.url, flags);
    expect(after.watch.state).toBe("stale");
    expect(route(after, "jane-42!")).toBe("fork fork");
    expect(route(after, "pr-7!")).toBe("refused table-stale");
    await control.start();
    await expect.poll(() => control.watches, { timeout: 10_000 }).toHaveLength(2);
    expect(control.watches[1]?.lastEventId).toBe("e.1");
  });

  it("of a killed process finds what was written before", async () => {
    serve("e.1");
    const flags = { "state-dir": stateDir };
    const killed = await start(control.url, flags);
    killed.clock.ms += 1_000;
    const file = path.join(stateDir, "last-table.json");
    await expect.poll(() => readFile(file, "utf8").catch(() => "")).toContain("jane-42");
    await control.kill();
    const after = await start(control.url, flags);
    expect(route(after, "jane-42")).toBe("fork fork");
  });

  it.each([
    ["damaged", async (file: string) => writeFile(file, "{}"), {}],
    ["of another workload", async () => {}, { workload: "shop/pricing" }],
  ])("does not use a file that is %s, and says why", async (_, damage, change) => {
    serve("e.1");
    const flags = { "state-dir": stateDir };
    const before = await start(control.url, flags);
    await before.watch.flushAndLeave();
    await control.kill();
    await damage(path.join(stateDir, "last-table.json"));
    const after = await start(control.url, { ...flags, ...change }, { firstTableMs: 50 });
    expect(after.watch.state).toBe("table-unknown");
    expect(after.log[0]).toContain("not used");
  });

  it("does not use a table that is older than 24 hours", async () => {
    serve("e.1");
    const flags = { "state-dir": stateDir };
    const before = await start(control.url, flags);
    await before.watch.flushAndLeave();
    await control.kill();
    const after = newWatch(control.url, flags, { firstTableMs: 50 });
    started.push(after);
    after.clock.ms += DAY_MS + 1;
    await after.watch.start();
    expect(after.watch.state).toBe("table-unknown");
    expect(after.log[0]).toContain("24 hours");
  });
});

describe("reports", () => {
  it("say which fork endpoints a baseline proxy can reach", async () => {
    const service = net.createServer().listen(0, "127.0.0.1");
    await once(service, "listening");
    const up = `127.0.0.1:${(service.address() as AddressInfo).port}`;
    control.onWatch = (watch) => control.sendSnapshot("e.1", table([], [up]), watch);
    await start(control.url);
    await expect.poll(() => control.lastStatus?.endpoints[up]?.accepted).toBe(true);
    service.close();
  });

  it("of a fork's own proxy check no endpoints", async () => {
    serve("e.1");
    await start(control.url, { sandbox: "jane-42" });
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.1"]);
    expect(control.lastStatus).toMatchObject({ sandbox: "jane-42", endpoints: {} });
  });

  it("answer a flush with every record, in a batch that names it", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    proxy.hops.lines.push('{"hop":"1"}\n');
    proxy.hops.dropped = { "jane-42": 3 };
    control.send("flush", { flush: "flush-1" });
    await expect.poll(() => control.batches.at(-1)?.batch.flush).toBe("flush-1");
    expect(control.records).toEqual([{ hop: "1" }]);
    expect(control.batches[0]?.batch.dropped).toEqual({ "jane-42": 3 });
    control.send("flush", { flush: "flush-2" });
    await expect.poll(() => control.batches.at(-1)?.batch.flush).toBe("flush-2");
    expect(control.batches.at(-1)?.records).toEqual([]);
  });

  it("observe for as long as the longest run that asks for it, and no longer", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    const run = (kind: string, forMs: unknown) => ({ id: "r", kind, forMs });
    control.send("runs", { runs: [run("propagation", 50), run("propagation", 90), run("x", 500)] });
    control.send("runs", { runs: [run("propagation", "soon"), null] });
    control.send("runs", { runs: "none" });
    control.send("runs", { runs: [] });
    await expect.poll(() => proxy.observations.windows).toEqual([90, 0, 0]);
  });

  it("write no table any more once another process does", async () => {
    serve("e.1");
    const proxy = await start(control.url, { "state-dir": stateDir });
    proxy.watch.handOverMemory();
    await proxy.watch.flushAndLeave();
    expect(await readdir(stateDir)).toEqual([]);
  });

  it("hold up a stop for two seconds where control does not answer", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    await expect.poll(() => control.statuses.length).toBeGreaterThan(0);
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    control.onUnanswered = resolve;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let isStopped = false;
    const stopped = proxy.watch.flushAndLeave().then(() => {
      isStopped = true;
    });
    await asked;
    await vi.advanceTimersByTimeAsync(1_999);
    expect(isStopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await stopped;
    control.onUnanswered = null;
  });

  it("say goodbye on a stop, after the last records", async () => {
    serve("e.1");
    const proxy = await start(control.url);
    proxy.hops.lines.push('{"hop":"1"}\n');
    await proxy.watch.flushAndLeave();
    expect(control.records).toEqual([{ hop: "1" }]);
    expect(control.lastStatus?.leaving).toBe(true);
    await expect.poll(() => control.watches[0]?.response.destroyed).toBe(true);
  });

  it("carry the version of the package", async () => {
    const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
    expect((JSON.parse(text) as { version: string }).version).toBe(PROXY_VERSION);
  });
});
