import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Workers } from "./workers.ts";

test("a start that fails is told once: nothing of it is begun anew, or counts as a crash", async () => {
  const started: number[] = [];
  const ended: boolean[] = [];
  const warnings: string[] = [];
  const workers = new Workers({
    count: 2,
    settings: {},
    log: { info: () => undefined, warn: (message) => warnings.push(message) },
    retireMs: () => 1_000,
    worker: {
      entry: "absent.ts",
      // No process has as many files: the system starts nothing.
      listenFd: 1_000_000,
      onMessage: () => undefined,
      onOutput: () => undefined,
    },
    onStarted: ({ index }) => started.push(index),
    onEnded: (_, wasOrderly) => ended.push(wasOrderly),
  });
  expect((await workers.start())?.message).toContain("EBADF");
  expect([started, ended, warnings]).toEqual([[1, 2], [false, false], []]);
  expect([workers.crashes, workers.alive]).toEqual([0, []]);
});

/** The first one takes connections, and ends when it is sent a flush; the others only when they are to drain. */
const FIRST_ALONE = `
  let isFirst = false;
  process.on("message", ({ kind, index }) => {
    if (kind === "start") isFirst = index === 1;
    if (kind === "start" && isFirst) process.send({ kind: "accepting" });
    if (kind === (isFirst ? "flush" : "drain")) process.exit(0);
  });
`;

test("a stop in the middle of a start lets all finish, also who has not said yet that it begins", async () => {
  const folder = await mkdtemp(join(tmpdir(), "forklane-workers-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const entry = join(folder, "worker.mjs");
  await writeFile(entry, FIRST_ALONE);
  const ended: unknown[] = [];
  const workers = new Workers({
    count: 2,
    settings: {},
    log: { info: () => undefined, warn: () => undefined },
    retireMs: () => 1_000,
    worker: { entry, listenFd: 0, onMessage: () => undefined, onOutput: () => undefined },
    onStarted: () => undefined,
    onEnded: ({ index }, wasOrderly) => {
      ended.push([index, wasOrderly]);
      for (const worker of workers.alive) worker.send({ kind: "flush", id: "" });
    },
  });
  onTestFinished(() => workers.kill());
  const started = workers.start();
  await expect.poll(() => workers.acceptingCount).toBe(1);
  await workers.drain(true, 60_000);
  expect(ended).toEqual([
    [2, true],
    [1, true],
  ]);
  expect((await started)?.message).toContain("it ended at its start");
});
