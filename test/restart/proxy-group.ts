import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { ProxyProcess, type ProxyProcessWish } from "../harness/proxy-process.ts";
import { LONG_BYTES, LONG_PATH } from "./callers.ts";

/** How long a process may take to start on a busy machine, in milliseconds. */
export const START = { timeout: 60_000 };

/** What `/config` says of the processes. */
export interface Processes {
  readonly supervisor: number;
  readonly generation: number;
  readonly processes: readonly {
    readonly worker: number;
    readonly process: number;
    readonly state: "starting" | "accepting" | "draining";
    readonly revision: string | null;
  }[];
}

/** Starts a proxy of two workers, whose processes all end with the test. */
export async function startGroup(wish: Omit<ProxyProcessWish, "baseline">): Promise<ProxyProcess> {
  const flags = { workers: "2", ...wish.flags };
  return await ProxyProcess.start({ ...wish, baseline: await startBaseline(), flags });
}

export async function processesOf({ admin }: ProxyProcess): Promise<Processes> {
  const config = (await (await fetch(`${admin}/config`)).json()) as Processes;
  return config;
}

/** Process ids of the workers that take connections. */
export async function workersOf(proxy: ProxyProcess): Promise<number[]> {
  const { processes } = await processesOf(proxy);
  return processes.filter(({ state }) => state === "accepting").map((it) => it.process);
}

/** Waits until two workers take connections, none of them one of these, and nobody drains. */
export async function untilReplaced(
  proxy: ProxyProcess,
  former: readonly number[],
): Promise<number[]> {
  const isDone = async () => {
    const { processes } = await processesOf(proxy);
    const isNew = processes.every((it) => !former.includes(it.process));
    return isNew && processes.every(({ state }) => state === "accepting") && processes.length === 2;
  };
  await expect.poll(isDone, START).toBe(true);
  return await workersOf(proxy);
}

/** A folder that is removed with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "forklane-restart-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Kills the supervisor of a later generation with the test: it is no child of ours. */
export function endWithTest(pid: number): void {
  onTestFinished(() => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  });
}

/** Whether a process runs; one that has ended and was not waited for does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => null);
  return stat !== null && !/\) Z /.test(stat);
}

/** Which of these processes has each connection to `port`: by the local port of the caller. */
export async function ownersOf(
  port: number,
  pids: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const callerByInode = new Map<string, number>();
  for (const line of (await readFile("/proc/net/tcp", "latin1")).split("\n").slice(1)) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
    if (local === undefined || remote === undefined || inode === undefined) continue;
    if (portOf(local) === port) callerByInode.set(inode, portOf(remote));
  }
  const owners = new Map<number, number>();
  for (const pid of pids) {
    for (const name of await readdir(`/proc/${pid}/fd`)) {
      const link = await readlink(`/proc/${pid}/fd/${name}`).catch(() => "");
      const caller = callerByInode.get(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? "");
      if (caller !== undefined && caller !== 0) owners.set(caller, pid);
    }
  }
  return owners;
}

/** The port of an address in /proc/net/tcp: `0100007F:1F90`. */
function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

/** A service that answers at once, but for one path, which takes some seconds. */
export async function startBaseline(): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url === LONG_PATH) void drip(response);
    else response.end("ok");
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}

const PIECES = 40;
const PIECE_MS = 50;

async function drip(response: http.ServerResponse): Promise<void> {
  response.setHeader("content-length", LONG_BYTES);
  for (let i = 0; i < PIECES; i++) {
    response.write("x".repeat(LONG_BYTES / PIECES));
    await new Promise((resolve) => setTimeout(resolve, PIECE_MS));
  }
  response.end();
}
