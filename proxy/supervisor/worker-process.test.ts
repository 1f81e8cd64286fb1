import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import { WorkerProcess } from "./worker-process.ts";

/** No process has as many files. */
const NO_FD = 1_000_000;

function start(listenFd: number, entry = "absent.ts"): WorkerProcess {
  return new WorkerProcess({
    entry,
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

/** A worker that hears everything and does nothing, under a clock that stands still. */
async function startIdle(): Promise<WorkerProcess> {
  const folder = await mkdtemp(join(tmpdir(), "forklane-worker-"));
  const entry = join(folder, "idle.mjs");
  await writeFile(entry, 'process.on("message", () => {});');
  const listen = await open("/dev/null");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const worker = start(listen.fd, entry);
  onTestFinished(async () => {
    vi.useRealTimers();
    worker.kill();
    await worker.ended;
    await listen.close();
    await rm(folder, { recursive: true });
  });
  return worker;
}

test("a worker that takes no connections for half a minute is ended", async () => {
  const worker = await startIdle();
  vi.advanceTimersByTime(29_999);
  expect(worker.isDraining).toBe(false);
  vi.advanceTimersByTime(1);
  expect(worker.isDraining).toBe(true);
  expect((await worker.accepting)?.message).toBe("it does not take connections after 30 s");
  expect(await worker.ended).toBe("SIGKILL");
});

test("a worker that clings on is ended five seconds after the deadline of its drain", async () => {
  const worker = await startIdle();
  worker.drain(true, 1_000);
  const timers = vi.getTimerCount();
  vi.advanceTimersByTime(5_999);
  expect(vi.getTimerCount()).toBe(timers);
  vi.advanceTimersByTime(1);
  expect(await worker.ended).toBe("SIGKILL");
});
