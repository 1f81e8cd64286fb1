import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { text } from "node:stream/consumers";
import { describe, expect, it, vi } from "vitest";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { ROOT } from "../repository.ts";

/** Types are stripped twice: in the process of the command, and in the one that it becomes. */
vi.setConfig({ testTimeout: 60_000 });

async function wordsOf(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, "latin1")).split("\0");
}

/** Exit code and standard error of the command. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  return { code: code as number | null, stderr };
}

describe("a proxy that was started by the command", () => {
  it("becomes a process of its own: the same id and words, nothing of the command line in it", async () => {
    const flags = { "probe-path": "/up,/ready", instance: "cart-1" };
    const proxy = await ProxyProcess.start({ baseline: "127.0.0.1:1", flags, heapMib: 64 });
    const words = await wordsOf(proxy.pid);
    expect(words.slice(1, 6)).toEqual([
      "--v8-pool-size=1",
      "--expose-gc",
      "--disable-sigusr1",
      "--max-old-space-size=64",
      expect.stringMatching(/proxy\/own-process\/main\.ts$/),
    ]);
    expect(words).toEqual(expect.arrayContaining(["proxy", "--probe-path=/up,/ready"]));
    const config = (await (await fetch(`${proxy.admin}/config`)).json()) as object;
    expect(config).toMatchObject({ instance: "cart-1", probePaths: ["/up", "/ready"] });
  });

  it("has one thread where V8 compiles and collects", async () => {
    const usual = await ProxyProcess.start({ baseline: "127.0.0.1:1" });
    const names = await threadNames(usual.pid);
    expect(names.filter((name) => name.includes("V8Worker"))).toHaveLength(1);
  });

  it("has no debugger that a signal starts, in no process of its own, unless somebody wants one", async () => {
    const usual = await ProxyProcess.start({ baseline: "127.0.0.1:1", flags: { workers: "2" } });
    for (const pid of await processesOf(usual)) expect(await catchesDebugSignal(pid)).toBe(false);
    const nodeFlags = ["--no-disable-sigusr1"];
    const flags = { workers: "2" };
    const told = await ProxyProcess.start({ baseline: "127.0.0.1:1", flags, nodeFlags });
    for (const pid of await processesOf(told)) expect(await catchesDebugSignal(pid)).toBe(true);
  });

  it("tells the C library to give back memory, unless somebody told it otherwise", async () => {
    const usual = await ProxyProcess.start({ baseline: "127.0.0.1:1" });
    expect(await mallocSettingsOf(usual.pid)).toEqual([
      "MALLOC_MMAP_THRESHOLD_=24576",
      "MALLOC_TOP_PAD_=65536",
      "MALLOC_TRIM_THRESHOLD_=65536",
    ]);
    vi.stubEnv("MALLOC_TOP_PAD_", "0");
    const told = await ProxyProcess.start({ baseline: "127.0.0.1:1" });
    vi.unstubAllEnvs();
    expect(await mallocSettingsOf(told.pid)).toEqual([
      "MALLOC_MMAP_THRESHOLD_=24576",
      "MALLOC_TOP_PAD_=0",
      "MALLOC_TRIM_THRESHOLD_=65536",
    ]);
  });

  it("stays the process of the command where its flags are more than the environment holds", async () => {
    const networks = Array.from({ length: 8_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    const flags = { "trust-tags-from": networks.join(",") };
    const proxy = await ProxyProcess.start({ baseline: "127.0.0.1:1", flags });
    expect((await wordsOf(proxy.pid))[1]).toBe("cli/main.ts");
  });

  it("says what is wrong with its settings before it becomes one", async () => {
    const wrong = await run(["cli/main.ts", "proxy", "--listen", "nowhere"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("--listen");
  });
});

it("the file of that process is started by the command, and by nobody else", async () => {
  const { code, stderr } = await run(["proxy/own-process/main.ts"]);
  expect(code).toBe(2);
  expect(stderr).toContain("start `forklane proxy`");
});

/** The supervisor and its workers. */
async function processesOf({ pid, admin }: ProxyProcess): Promise<number[]> {
  const config = (await (await fetch(`${admin}/config`)).json()) as {
    processes: readonly { readonly process: number }[];
  };
  return [pid, ...config.processes.map(({ process }) => process)];
}

/** Whether something listens to SIGUSR1 in this process: in ours that can only be Node. */
async function catchesDebugSignal(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  const caught = BigInt(`0x${/^SigCgt:\s+(\w+)/m.exec(status)?.[1]}`);
  return ((caught >> BigInt(constants.signals.SIGUSR1 - 1)) & 1n) === 1n;
}

async function mallocSettingsOf(pid: number): Promise<string[]> {
  const environment = (await readFile(`/proc/${pid}/environ`, "latin1")).split("\0");
  return environment.filter((each) => each.startsWith("MALLOC_")).sort();
}

async function threadNames(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  return Promise.all(threads.map(async (id) => readFile(`/proc/${pid}/task/${id}/comm`, "latin1")));
}
