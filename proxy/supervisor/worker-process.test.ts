import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { WorkerProcess } from "./worker-process.ts";

/** No process has as many files. */
const NO_FD = 1_000_000;

function start(listenFd: number): WorkerProcess {
  return new WorkerProcess({
    entry: "absent.ts",
    listenFd,
    settings: {},
    index: 1,
    onMessage: () => undefined,
    onOutput: () => undefined,
  });
}

test("a worker that the system does not start has ended, with the reason", async () => {
  const worker = start(NO_FD);
  expect(await worker.ended).toContain("EBADF");
  expect((await worker.accepting)?.message).toContain("EBADF");
  worker.drain(true, 1_000);
  worker.kill();
  expect([worker.pid, worker.hasEnded]).toEqual([0, true]);
});

test("so has one for which there are not enough files", async () => {
  const script = `
    import { openSync } from "node:fs";
    const { WorkerProcess } = await import(${JSON.stringify(new URL("worker-process.ts", import.meta.url).href)});
    const ignore = () => undefined;
    const options = { entry: "absent.ts", settings: {}, index: 1, onMessage: ignore, onOutput: ignore };
    const listenFd = openSync("/dev/null", "r");
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    const worker = new WorkerProcess({ ...options, listenFd });
    process.stdout.write(String(await worker.ended));
  `;
  const command = 'ulimit -n 64; exec "$0" --input-type=module -e "$1"';
  const child = spawn("/bin/sh", ["-c", command, process.execPath, script]);
  const [out, errors] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  expect([errors, out]).toEqual(["", expect.stringContaining("EMFILE")]);
});

test("a worker has no debugger that a signal starts, however its supervisor was started", async () => {
  const folder = await mkdtemp(join(tmpdir(), "forklane-worker-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const entry = join(folder, "worker.mjs");
  await writeFile(entry, "process.stdout.write(process.execArgv.join());process.disconnect();");
  const said = Promise.withResolvers<string>();
  const worker = new WorkerProcess({
    ...{ entry, listenFd: 0, settings: {}, index: 1 },
    onMessage: () => undefined,
    onOutput: (stdout) => said.resolve(text(stdout)),
  });
  expect((await said.promise).split(",")).toContain("--disable-sigusr1");
  expect(await worker.ended).toBeNull();
});
