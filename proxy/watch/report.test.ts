import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { err, ok } from "../../core/result.ts";
import { FakeControl } from "./control.fake.ts";
import { ControlApi } from "./control-api.ts";
import { Reporter, type ReporterOptions, selectSeen } from "./report.ts";
import { QueuedHops, QueuedObservations } from "./watched-proxy.fake.ts";

const STATUS = {
  workloads: ["shop/cart"],
  mode: "inbound",
  sandbox: null,
  listen: "127.0.0.1:8110",
  admin: null,
  version: "0.1.0",
  leaseMs: 15_000,
  applied: ["e.1"],
  rejected: null,
  endpoints: {},
  counters: {},
} as const;

let control: FakeControl;
let hops: QueuedHops;
let observations: QueuedObservations;
let faults: string[];
let reporter: Reporter;

beforeEach(async () => {
  control = new FakeControl();
  await control.start();
  hops = new QueuedHops();
  observations = new QueuedObservations();
  faults = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await reporter.leave();
  await control.kill();
});

function start(options: Partial<ReporterOptions> = {}): void {
  reporter = new Reporter({
    api: new ControlApi({ control: control.url, tokenFile: null }),
    instance: "cart-1",
    hops,
    observations,
    status: () => STATUS,
    lastSeen: () => ({}),
    onFault: (why) => faults.push(why),
    ...options,
  });
  reporter.start();
}

/** Starts with a control that takes all, and returns the batches that it gets. */
function startWithBodies(): string[] {
  const bodies: string[] = [];
  const post = (path: string, _type: string, body: string) => {
    if (path === "/v1/hops") bodies.push(body);
    return Promise.resolve(ok(null));
  };
  start({ api: { post } });
  return bodies;
}

/** A record of `bytes`, its line feed included. */
function recordOf(bytes: number): string {
  return `"${"x".repeat(bytes - 3)}"\n`;
}

/** Behind the line that opens the batch. */
function countRecords(body: string): number {
  return body.split("\n").length - 2;
}

describe("reports", () => {
  it("send the status from time to time when nothing changes", async () => {
    start({ statusIntervalMs: 10 });
    await expect.poll(() => control.statuses.length).toBeGreaterThan(2);
  });

  it("send one status now and one more for a burst of changes", async () => {
    let version = 0;
    start({ status: () => ({ ...STATUS, applied: [`e.${version}`] }) });
    for (version = 1; version <= 100; version++) reporter.changed();
    await expect.poll(() => control.lastStatus?.applied).toEqual(["e.101"]);
    expect(control.statuses.length).toBeLessThanOrEqual(2);
  });

  it("try a status again when control failed, and say so once", async () => {
    start();
    control.postStatus = 503;
    reporter.changed();
    await expect.poll(() => faults).toEqual(["status: control answered 503"]);
    control.postStatus = 0;
    await expect.poll(() => control.statuses).toHaveLength(1);
    expect(faults).toHaveLength(1);
  });

  it("send hop records without being asked, and keep them until control has answered", async () => {
    start();
    control.postStatus = 503;
    hops.lines.push('{"hop":"1"}\n');
    await expect.poll(() => faults).toHaveLength(1);
    expect(hops.held).toBe(1);
    control.postStatus = 0;
    await expect.poll(() => control.records).toEqual([{ hop: "1" }]);
    // Control has them a moment before the proxy knows.
    await expect.poll(() => hops.held).toBe(0);
  });

  it("gather records that come while a batch is under way, but not once a flush waits", async () => {
    vi.useFakeTimers();
    const bodies: string[] = [];
    let whilePosting = (): void => undefined;
    start({
      api: {
        post: (path, _type, body) => {
          if (path === "/v1/hops") bodies.push(body);
          whilePosting();
          return Promise.resolve(ok(null));
        },
      },
    });
    hops.lines.push('{"hop":"1"}\n');
    whilePosting = () => void hops.lines.push('{"hop":"2"}\n');
    await vi.advanceTimersByTimeAsync(250);
    expect([bodies.length, hops.held]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(25);
    expect([bodies.length, hops.held]).toEqual([2, 1]);
    whilePosting = () => {
      if (bodies.length < 5) hops.lines.push('{"hop":"3"}\n');
    };
    reporter.flush("flush-1");
    reporter.flush("flush-2");
    await vi.advanceTimersByTimeAsync(0);
    const flushes = bodies
      .slice(2)
      .map((body) => JSON.parse(body.split("\n")[0] ?? "").batch.flush);
    expect(flushes.slice(0, 2)).toEqual(["flush-1", "flush-2"]);
  });

  it("send records in batches of at most 512 KiB, the next one at once behind a large one", async () => {
    vi.useFakeTimers();
    const bodies = startWithBodies();
    hops.lines.push(...Array.from({ length: 5 }, () => recordOf(200 * 1024)));
    await vi.advanceTimersByTimeAsync(250);
    expect(bodies.map(countRecords)).toEqual([2, 2, 1]);
  });

  it("send observations in batches of at most 256 KiB", async () => {
    vi.useFakeTimers();
    const bodies = startWithBodies();
    observations.lines.push(...Array.from({ length: 5 }, () => recordOf(100 * 1024)));
    await vi.advanceTimersByTimeAsync(250);
    expect(bodies.map(countRecords)).toEqual([2, 2, 1]);
  });

  it("are tried again after pauses that double from 250 ms to five seconds", async () => {
    vi.useFakeTimers();
    const triedAtMs: number[] = [];
    start({
      api: {
        post: () => {
          triedAtMs.push(performance.now());
          return Promise.resolve(err({ status: 503, why: "control answered 503" }));
        },
      },
    });
    reporter.changed();
    await vi.advanceTimersByTimeAsync(18_000);
    const pauses = triedAtMs.slice(1).map((ms, i) => ms - (triedAtMs[i] ?? 0));
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  it("give up on a flush after four tries", async () => {
    vi.useFakeTimers();
    let tries = 0;
    start({
      api: {
        post: (path) => {
          if (path === "/v1/hops") tries++;
          return Promise.resolve(err({ status: 503, why: "control answered 503" }));
        },
      },
    });
    reporter.flush("flush-1");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tries).toBe(4);
  });

  it("do not keep records that control will never take", async () => {
    start();
    control.postStatus = 400;
    hops.lines.push('{"hop":"1"}\n');
    await expect.poll(() => hops.held).toBe(0);
    control.postStatus = 0;
    expect(control.records).toEqual([]);
  });

  it("send observations before the batch that answers a flush, and say how many were left out", async () => {
    observations.lines.push('{"kind":"observation"}\n');
    observations.dropped = 2;
    start();
    reporter.flush("flush-1");
    await expect.poll(() => control.batches.at(-1)?.batch.flush).toBe("flush-1");
    expect(control.records).toEqual([{ kind: "observation" }]);
    expect(control.batches.at(-1)?.batch.observationsDropped).toBe(2);
    expect(observations.lines).toEqual([]);
  });

  it("keep observations until control has answered, unless it never will", async () => {
    observations.lines.push('{"kind":"observation"}\n');
    control.postStatus = 503;
    start();
    await expect.poll(() => faults).toHaveLength(1);
    expect(observations.lines).toHaveLength(1);
    control.postStatus = 400;
    await expect.poll(() => observations.dropped).toBe(1);
    expect(observations.lines).toEqual([]);
  });

  it("answer a flush that came while control was away", async () => {
    start();
    await control.kill();
    reporter.flush("flush-1");
    await expect.poll(() => faults).toHaveLength(1);
    await control.start();
    reporter.reconnected();
    await expect
      .poll(() => control.batches[0]?.batch)
      .toEqual({
        proxy: "cart-1",
        flush: "flush-1",
        dropped: {},
      });
  });

  it("answer only the latest hundred flushes", async () => {
    await control.kill();
    start();
    for (let i = 1; i <= 101; i++) reporter.flush(`flush-${i}`);
    await expect.poll(() => faults).toHaveLength(1);
    await control.start();
    reporter.reconnected();
    await expect.poll(() => control.batches).toHaveLength(100);
    expect(control.batches[0]?.batch.flush).toBe("flush-2");
    expect(control.batches.at(-1)?.batch.flush).toBe("flush-101");
  });

  it("say no goodbye while control has not taken the last records: it would miss none", async () => {
    start();
    control.hopsStatus = 503;
    hops.lines.push('{"hop":"1"}\n');
    await reporter.leave();
    expect([hops.held, control.statuses]).toEqual([1, []]);
    control.hopsStatus = 0;
    await reporter.leave();
    expect([hops.held, control.lastStatus?.leaving]).toEqual([0, true]);
  });

  it("are hurried past the pause after a failure", async () => {
    start();
    control.postStatus = 503;
    hops.lines.push('{"hop":"1"}\n');
    await expect.poll(() => control.posts).toBeGreaterThanOrEqual(1);
    // By itself it would make the last of these tries after some seconds.
    for (let posts = 2; posts < 8; posts++) {
      const hurried = () => {
        reporter.hurry();
        return control.posts;
      };
      await expect.poll(hurried).toBeGreaterThanOrEqual(posts);
    }
  });

  it("name at most 2,000 keys in one status, and the others in the next", async () => {
    const seen = Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`key-${i}`, i]));
    start({ lastSeen: () => seen });
    reporter.changed();
    await expect.poll(() => control.statuses).toHaveLength(1);
    expect(Object.keys(control.lastStatus?.lastSeen ?? {})).toHaveLength(2_000);
    reporter.changed();
    await expect.poll(() => control.statuses).toHaveLength(2);
    expect(control.lastStatus?.lastSeen).toEqual({ "key-2000": 2_000 });
  });

  it("tell each time of a key once", async () => {
    const seen: Record<string, number> = { "jane-42": 10 };
    start({ lastSeen: () => seen });
    reporter.changed();
    await expect.poll(() => control.lastStatus?.lastSeen).toEqual({ "jane-42": 10 });
    reporter.changed();
    await expect.poll(() => control.statuses).toHaveLength(2);
    expect(control.lastStatus?.lastSeen).toEqual({});
    seen["jane-42"] = 20;
    reporter.changed();
    await expect.poll(() => control.lastStatus?.lastSeen).toEqual({ "jane-42": 20 });
  });
});

describe("keys seen lately", () => {
  it("are sent oldest first when there are too many for one status", () => {
    const byKey = { c: 30, a: 10, b: 20, d: 40 };
    const first = selectSeen(byKey, new Map([["a", 10]]), 2);
    expect(first.byKey).toEqual({ b: 20, c: 30 });
    const second = selectSeen(byKey, first.told, 2);
    expect(second.byKey).toEqual({ d: 40 });
    expect(selectSeen(byKey, second.told, 2).byKey).toEqual({});
  });

  it("are told where another key was seen later and told sooner", () => {
    const { told } = selectSeen({ busy: 60 }, new Map());
    expect(selectSeen({ busy: 60, long: 30 }, told).byKey).toEqual({ long: 30 });
  });

  it("are remembered only for as long as their source does", () => {
    const { told } = selectSeen({ a: 1, b: 2 }, new Map());
    expect([...selectSeen({ b: 2 }, told).told]).toEqual([["b", 2]]);
  });
});
