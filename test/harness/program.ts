import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { Connection } from "./client.ts";

/** Folder of the programs that test/tools/install.sh keeps outside the checkout. */
export function toolFolder(name: string): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(cache, "forklane", name);
}

/** Fails with the command to run where a program that `group` needs is missing. */
export function needProgram(program: string, args: readonly string[], group: string): void {
  const { error } = spawnSync(program, args);
  if (error !== undefined) {
    throw new Error(`${program} is missing; run test/tools/install.sh ${group}`, { cause: error });
  }
}

/** A program that was started; its output is the test's, but for what is read from stdout. */
export interface RunningProgram {
  readonly stdout: ChildProcess["stdout"];
  stop(): Promise<void>;
}

/** Starts a program, and waits until each of `ports` accepts connections. */
export async function startProgram(
  program: string,
  args: readonly string[],
  ports: readonly number[],
): Promise<RunningProgram> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  }).then(() => {
    hasEnded = true;
  });
  child.stderr?.on("data", (bytes) => {
    said = `${said}${bytes}`.slice(-2_000);
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  for (const port of ports) {
    await expect
      .poll(async () => hasEnded || (await isListening(port)), { timeout: 30_000 })
      .toBe(true);
  }
  if (hasEnded) throw new Error(`${program} ended at once: ${said}`);
  return { stdout: child.stdout, stop };
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await Connection.open(port)).close();
    return true;
  } catch {
    return false;
  }
}
