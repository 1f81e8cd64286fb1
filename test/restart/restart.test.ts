/** Restarts under load: no caller that never repeats a request loses one. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { FakeControl } from "../../proxy/watch/control.fake.ts";
import { Connection } from "../harness/client.ts";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { ask, type Book, Callers } from "./callers.ts";
import {
  endWithTest,
  isRunning,
  ownersOf,
  processesOf,
  START,
  startBaseline,
  startGroup,
  temporaryFolder,
  untilReplaced,
  workersOf,
} from "./proxy-group.ts";

/** Long enough for each of the callers to call again, and to be told. */
const LIMITS = { drainAcceptMs: 3_000, drainMs: 60_000 };

/** Waits until callers of each kind have been answered some more times. */
async function untilAnswered(book: Book, more = 200): Promise<void> {
  const { answered, longReads } = book;
  const goesOn = () =>
    book.failed.length > 0 || (book.answered > answered + more && book.longReads > longReads);
  await expect.poll(goesOn, START).toBe(true);
}

/** Exchanges that are counted, over all decisions. */
async function exchangesOf(proxy: ProxyProcess): Promise<number> {
  return await proxy.metric(
    'forklane_exchanges_total{workload="shop/cart",outcome="baseline",reason="no-key"}',
  );
}

/** Waits until so many restarts have come to nothing. */
async function untilRefused(proxy: ProxyProcess, times: number): Promise<void> {
  const refused = () => proxy.metric('forklane_restarts_total{outcome="refused"}');
  await expect.poll(refused, START).toBe(times);
}

test("workers are replaced in turn, three times, and no request is lost", async () => {
  const proxy = await startGroup({ limits: LIMITS });
  const callers = new Callers(proxy.port);
  const { book } = callers;
  await untilAnswered(book);
  const seen = new Set(await workersOf(proxy));
  for (let i = 0; i < 3; i++) {
    const former = await workersOf(proxy);
    proxy.signal("SIGHUP");
    for (const pid of await untilReplaced(proxy, former)) seen.add(pid);
    await untilAnswered(book);
  }
  expect(await callers.stop()).toEqual([]);
  expect(seen.size).toBe(8);
  expect(book.told).toBeGreaterThan(0);
  for (const pid of seen) expect(await isRunning(pid)).toBe((await workersOf(proxy)).includes(pid));
  // Nothing that a worker had counted went with it.
  await expect.poll(() => exchangesOf(proxy), START).toBe(book.answered);
  expect(await proxy.metric("forklane_worker_crashes_total")).toBe(0);
});

test("a replaced worker waits for an idle caller, but a stop does not wait as long", async () => {
  const proxy = await startGroup({ limits: { drainAcceptMs: 1, drainMs: 3_000 } });
  const stateOf = async (pid: number | undefined) =>
    (await processesOf(proxy)).processes.find((it) => it.process === pid)?.state;
  const untilRestarted = async (times: number) => {
    proxy.signal("SIGHUP");
    const done = () => proxy.metric('forklane_restarts_total{outcome="done"}');
    await expect.poll(done, START).toBe(times);
  };
  for (const times of [1, 2]) {
    const idle = await Connection.open(proxy.port);
    expect(await ask(idle)).toBe("200 keep-alive");
    const owner = (await ownersOf(proxy.port, await workersOf(proxy))).get(
      idle.socket.localPort ?? 0,
    );
    await untilRestarted(times);
    expect(await stateOf(owner)).toBe("draining");
    if (times === 1) {
      expect(await ask(idle)).toBe("200 close");
      idle.close();
      await expect.poll(() => stateOf(owner), START).toBeUndefined();
    } else {
      proxy.signal("SIGTERM");
      expect(await proxy.exit).toBe(0);
      await idle.until(() => false);
      expect(idle.closed).toBe("ended");
    }
  }
});

test("a restart reads the configuration again, and a wrong one changes nothing", async () => {
  const file = join(await temporaryFolder(), "proxy.json");
  const write = (settings: object) => writeFile(file, JSON.stringify(settings));
  await write({ limit: { drainMs: 60_000 } });
  const proxy = await startGroup({ flags: { config: file } });
  const callers = new Callers(proxy.port);
  const former = await workersOf(proxy);
  const limitsNow = async () =>
    ((await (await fetch(`${proxy.admin}/config`)).json()) as { limits: { connectMs: number } })
      .limits.connectMs;
  const wrong = [{ limit: { connectMs: "soon" } }, { "state-dir": "elsewhere" }];
  for (const [times, settings] of wrong.entries()) {
    await write(settings);
    proxy.signal("SIGHUP");
    await untilRefused(proxy, times + 1);
    expect(await workersOf(proxy)).toEqual(former);
    expect(await limitsNow()).toBe(1_000);
  }
  await write({ limit: { drainMs: 60_000, connectMs: 1_234 } });
  proxy.signal("SIGHUP");
  await untilReplaced(proxy, former);
  expect(await limitsNow()).toBe(1_234);
  expect(await callers.stop()).toEqual([]);
});

test("a worker that cannot start with new settings replaces nobody", async () => {
  const folder = await temporaryFolder();
  const file = join(folder, "proxy.json");
  await writeFile(file, JSON.stringify({ "access-log": join(folder, "access.log") }));
  const proxy = await startGroup({ flags: { config: file, "access-log": "" }, limits: LIMITS });
  const callers = new Callers(proxy.port);
  const former = await workersOf(proxy);
  const accessLog = join(folder, "no-folder", "access.log");
  await writeFile(file, JSON.stringify({ "access-log": accessLog }));
  proxy.signal("SIGHUP");
  await untilRefused(proxy, 1);
  expect(await workersOf(proxy)).toEqual(former);
  // One of them crashes: it is replaced by one with the settings that hold.
  expect(await callers.stop()).toEqual([]);
  process.kill(former[0] ?? 0, "SIGKILL");
  await untilReplaced(proxy, [former[0] ?? 0]);
});

test("the whole is replaced twice by a next generation, and no request is lost", async () => {
  let proxy = await startGroup({ limits: LIMITS });
  const callers = new Callers(proxy.port);
  for (const generation of [2, 3]) {
    await untilAnswered(callers.book);
    const before = await processesOf(proxy);
    process.kill(before.supervisor, "SIGUSR2");
    // For a moment either of them may answer.
    let answered = before;
    const now = async () => {
      answered = await processesOf(proxy).catch(() => before);
      return answered.generation;
    };
    await expect.poll(now, START).toBe(generation);
    const { supervisor } = answered;
    endWithTest(supervisor);
    await untilAnswered(callers.book);
    await expect.poll(() => isRunning(before.supervisor), START).toBe(false);
    if (generation === 2) expect(await proxy.exit).toBe(0);
    proxy = proxy.atPid(supervisor);
  }
  expect(await callers.stop()).toEqual([]);
  expect(callers.book.told).toBeGreaterThan(0);
  // The last generation stops as the first would have.
  proxy.signal("SIGTERM");
  await expect.poll(() => isRunning(proxy.pid), START).toBe(false);
  await expect(Connection.open(proxy.port)).rejects.toThrow("ECONNREFUSED");
});

test("to control the next generation is another proxy, and the one before leaves", async () => {
  const control = new FakeControl();
  await control.start();
  onTestFinished(() => control.kill());
  const workloads = { "shop/cart": { routes: {} } };
  control.onWatch = (watch) => control.sendSnapshot("e.1", { workloads, known: [] }, watch);
  const flags = { table: "", control: control.url, instance: "cart-1" };
  const proxy = await startGroup({ flags });
  proxy.signal("SIGUSR2");
  expect(await proxy.exit).toBe(0);
  endWithTest((await processesOf(proxy)).supervisor);
  const instances = control.watches.map(({ url }) => url.searchParams.get("instance"));
  expect(instances).toEqual(["cart-1", "cart-1.g2"]);
  expect(control.statuses.filter(({ leaving }) => leaving).length).toBe(1);
  await expect
    .poll(() => control.lastStatus, START)
    .toMatchObject({
      applied: ["e.1", "e.1"],
      leaving: false,
    });
});

test("what SIGHUP changed holds for the drain after SIGUSR2, too", async () => {
  const file = join(await temporaryFolder(), "proxy.json");
  const write = (retireMs: number) =>
    writeFile(file, JSON.stringify({ limit: { ...LIMITS, retireMs } }));
  await write(600_000);
  const proxy = await startGroup({ flags: { config: file } });
  const former = await workersOf(proxy);
  await write(1_000);
  proxy.signal("SIGHUP");
  await untilReplaced(proxy, former);
  const idle = await Connection.open(proxy.port);
  onTestFinished(() => idle.close());
  expect(await ask(idle)).toBe("200 keep-alive");
  proxy.signal("SIGUSR2");
  // The caller is not heard of any more: only the deadline ends it.
  expect(await proxy.exit).toBe(0);
  endWithTest((await processesOf(proxy)).supervisor);
});

test("where the next generation cannot start, this one goes on", async () => {
  const file = join(await temporaryFolder(), "proxy.json");
  await writeFile(file, JSON.stringify({ limit: LIMITS }));
  const proxy = await startGroup({ flags: { config: file } });
  const callers = new Callers(proxy.port);
  const before = await processesOf(proxy);
  await writeFile(file, "{");
  proxy.signal("SIGUSR2");
  await untilRefused(proxy, 1);
  await untilAnswered(callers.book);
  await writeFile(file, JSON.stringify({ limit: LIMITS }));
  proxy.signal("SIGHUP");
  await untilReplaced(
    proxy,
    before.processes.map((it) => it.process),
  );
  expect(await processesOf(proxy)).toMatchObject({ supervisor: before.supervisor, generation: 1 });
  expect(await callers.stop()).toEqual([]);
});

test("a stop of two workers loses no request while a successor takes over elsewhere", async () => {
  const old = await startGroup({ limits: LIMITS });
  const successor = await ProxyProcess.start({ baseline: await startBaseline() });
  const callers = new Callers(old.port);
  const { book } = callers;
  const rare = await Connection.open(old.port);
  expect(await ask(rare)).toBe("200 keep-alive");
  await untilAnswered(book);
  old.signal("SIGTERM");
  await expect.poll(() => book.told, START).toBeGreaterThan(20);
  book.port = successor.port;
  const isRefused = () => Connection.open(old.port).then((it) => it.close(), String);
  await expect.poll(isRefused, START).toContain("ECONNREFUSED");
  // Nobody holds the address any more; who was quiet all the time is still served, and told.
  expect(await ask(rare)).toBe("200 close");
  rare.close();
  expect(await old.exit).toBe(0);
  await untilAnswered(book);
  expect(await callers.stop()).toEqual([]);
});
