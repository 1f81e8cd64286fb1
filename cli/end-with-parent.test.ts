import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
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
