import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeControl } from "./control.fake.ts";
import { ControlApi } from "./control-api.ts";
import { pauseMs, RESTART_MEMORY_MS, Subscription, type SubscriptionOptions } from "./subscribe.ts";
import { HandClock } from "./watched-proxy.fake.ts";

let control: FakeControl;
let events: string[];
let lost: string[];
let subscription: Subscription;

beforeEach(async () => {
  control = new FakeControl();
  await control.start();
  events = [];
  lost = [];
});
afterEach(async () => {
  await subscription.stop();
  await control.kill();
});

function start(options: Partial<SubscriptionOptions> = {}): void {
  subscription = new Subscription({
    api: new ControlApi({ control: control.url, tokenFile: null }),
    clock: new HandClock(),
    path: "/v1/watch?workload=shop%2Fcart",
    random: () => 0,
    lastEventId: () => null,
    onOpen: () => events.push("open"),
    onEvent: (event) => {
      events.push(`${event.event} ${event.id} ${event.data}`);
      return "continue";
    },
    onLost: (why) => lost.push(why),
    ...options,
  });
  subscription.start();
}

describe("a subscription", () => {
  it("hands over each event with its id", async () => {
    start();
    await expect.poll(() => control.watches).toHaveLength(1);
    control.send("heartbeat", { revision: "e.1" });
    control.send("keys", {}, "e.2");
    await expect
      .poll(() => events)
      .toEqual(["open", 'heartbeat  {"revision":"e.1"}', "keys e.2 {}"]);
  });

  it("takes events that arrive in pieces, cut in the middle of a character", async () => {
    start();
    await expect.poll(() => control.watches).toHaveLength(1);
    const bytes = Buffer.from('event: keys\ndata: "jané"\n\n');
    const response = control.watches[0]?.response;
    const cut = bytes.indexOf(0xa9);
    response?.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    response?.write(bytes.subarray(cut));
    await expect.poll(() => events[1]).toBe('keys  "jané"');
  });

  it("comes back after the stream ended, with the revision that it has", async () => {
    start({ lastEventId: () => (events.length > 1 ? "e.2" : null) });
    await expect.poll(() => control.watches).toHaveLength(1);
    control.send("keys", {}, "e.2");
    await expect.poll(() => events).toHaveLength(2);
    control.watches[0]?.response.end();
    await expect.poll(() => control.watches).toHaveLength(2);
    expect(control.watches[1]?.lastEventId).toBe("e.2");
    expect(lost).toEqual(["control closed the watch"]);
  });

  it("starts again without an outage when it is told to", async () => {
    start({ onEvent: () => "restart" });
    await expect.poll(() => control.watches).toHaveLength(1);
    control.send("keys", {}, "e.2");
    await expect.poll(() => control.watches).toHaveLength(2);
    expect(lost).toEqual([]);
  });

  it("pauses longer and longer while each stream brings what is kept out, whatever else it brings", async () => {
    const clock = new HandClock();
    const pauses: number[] = [];
    const gate = Promise.withResolvers<void>();
    control.onWatch = () => {
      control.send("runs", { runs: [] });
      control.send("snapshot", {});
    };
    start({
      clock,
      onEvent: ({ event }) => (event === "snapshot" ? "restart" : "continue"),
      async pause(ms, signal) {
        signal.addEventListener("abort", () => gate.resolve(), { once: true });
        // Seven in a row, then one that the test ends.
        pauses.push(ms);
        if (pauses.length === 8) await gate.promise;
      },
    });
    await expect.poll(() => pauses).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500]);

    control.onWatch = () => control.send("runs", { runs: [] });
    gate.resolve();
    await expect.poll(() => control.watches).toHaveLength(9);
    clock.ms += RESTART_MEMORY_MS;
    control.watches.at(-1)?.response.end();
    await expect.poll(() => pauses.slice(8)).toEqual([2_500]);
    await expect.poll(() => control.watches).toHaveLength(10);
    clock.ms += 1;
    control.send("heartbeat", {});
    control.watches.at(-1)?.response.end();
    await expect.poll(() => pauses.slice(9, 10)).toEqual([50]);
  });

  it("stops in the middle of a pause, and opens nothing any more", async () => {
    await control.kill();
    start();
    await expect.poll(() => lost.length).toBeGreaterThan(0);
    await subscription.stop();
    await control.start();
    expect(control.watches).toEqual([]);
  });

  it("is not stopped by a token that no header can hold, is too long, empty, or not there", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "forklane-token-"));
    const tokenFile = path.join(dir, "token");
    await writeFile(tokenFile, "a\nb");
    start({ api: new ControlApi({ control: control.url, tokenFile }) });
    await expect.poll(() => lost.length).toBeGreaterThan(0);
    expect(lost[0]).toContain("authorization");
    await writeFile(tokenFile, "a".repeat(20_000));
    await expect.poll(() => lost.at(-1)).toContain("longer than");
    await writeFile(tokenFile, "\n");
    await expect.poll(() => lost.at(-1)).toContain("empty");
    await rm(tokenFile);
    await expect.poll(() => lost.at(-1)).toContain("ENOENT");
    await rm(dir, { recursive: true });
  });
});

describe("pauses between tries", () => {
  it("double from 100 ms to 5 s, and are spread over their second half", () => {
    expect([0, 1, 2, 5, 6, 100].map((fruitless) => pauseMs(fruitless, 0))).toEqual([
      50, 100, 200, 1_600, 2_500, 2_500,
    ]);
    expect(pauseMs(0, 0.999)).toBeCloseTo(100, 0);
    expect(pauseMs(9, 0.999)).toBeLessThan(5_000);
  });
});
