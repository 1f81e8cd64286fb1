import { expect, test } from "vitest";
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
