import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";

const SERVICE = join(import.meta.dirname, "demo/service-main.ts");

/** Starts the script of its arguments with an IPC channel, and says its process id when it listens. */
const PARENT = `
  const { spawn } = require("node:child_process");
  const { connect, createServer } = require("node:net");
  const free = createServer().listen(0, "127.0.0.1", () => {
    const { port } = free.address();
    free.close(() => {
      const args = [process.argv[1], "loyalty", "--listen", "127.0.0.1:" + port];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
      const look = () => connect(port, "127.0.0.1")
        .on("connect", () => console.log(child.pid))
        .on("error", () => setTimeout(look, 20));
      look();
    });
  });`;

/** Does not hear that it shall stop; once its parent is gone, it says what timer it has, and lets it end. */
const STUBBORN = `
  import { endWithParent } from ${JSON.stringify(new URL("end-with-parent.ts", import.meta.url).href)};
  process.on("SIGTERM", () => undefined);
  setInterval(() => undefined, 1_000);
  endWithParent();
  globalThis.setTimeout = (end, ms) => {
    process.stdout.write("ends after " + ms + " ms", end);
    return { unref: () => undefined };
  };
  process.send("ready");`;

let parent: ChildProcess | undefined;
let orphan = 0;

afterEach(() => {
  parent?.kill("SIGKILL");
  if (orphan > 0 && isAlive(orphan)) process.kill(orphan, "SIGKILL");
});

test("a child ends when its parent was killed", async () => {
  const { pid, killed } = await startParent();
  expect(isAlive(pid)).toBe(true);
  killed.kill("SIGKILL");
  const deadline = performance.now() + 10_000;
  while (isAlive(pid) && performance.now() < deadline) await sleep(20);
  expect(isAlive(pid)).toBe(false);
});

test("a child that does not stop by itself is ended two seconds after its parent is gone", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", STUBBORN], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  parent = child;
  await once(child, "message");
  const ended = once(child, "exit");
  child.disconnect();
  expect(await text(child.stdout as Readable)).toBe("ends after 2000 ms");
  expect(await ended).toEqual([1, null]);
});

async function startParent(): Promise<{ pid: number; killed: ChildProcess }> {
  const killed = spawn(process.execPath, ["-e", PARENT, SERVICE], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  parent = killed;
  const [line] = await once(killed.stdout, "data");
  orphan = Number(String(line));
  return { pid: orphan, killed };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
