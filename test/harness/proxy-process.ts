import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ROOT } from "../repository.ts";

/** What a test says of the proxy process that it wants. */
export interface ProxyProcessWish {
  /** `host:port` of the baseline. */
  readonly baseline: string;
  /** Further flags, by name without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Limits, by name. */
  readonly limits?: Readonly<Record<string, number>>;
  /** How many files the process may have open. */
  readonly openFiles?: number;
  /** How large its heap may become, in MiB. */
  readonly heapMib?: number;
  /** Flags of Node's. */
  readonly nodeFlags?: readonly string[];
  /** File descriptor that its log goes to; the test's own by default. */
  readonly stderr?: number;
}

/** How long a process may take to be ready, in milliseconds: types are stripped at each start. */
const START_MS = 30_000;

/** A proxy as a user starts it, in a process of its own: for what concerns memory, files and signals. */
export class ProxyProcess {
  readonly port: number;
  /** Base URL of its admin. */
  readonly admin: string;
  readonly exit: Promise<number | null>;
  /** The process; with workers it is their supervisor. */
  readonly pid: number;

  private constructor(pid: number, port: number, admin: string, exit: Promise<number | null>) {
    this.pid = pid;
    this.port = port;
    this.admin = admin;
    this.exit = exit;
  }

  /** Starts on free ports, and waits until it is ready; it is killed with the test. */
  static async start(wish: ProxyProcessWish): Promise<ProxyProcess> {
    const folder = await mkdtemp(join(tmpdir(), "forklane-proxy-"));
    const table = join(folder, "table.json");
    await writeFile(table, JSON.stringify({ revision: 1, routes: {}, known: [] }));
    const child = spawnProxy({ ...wish, flags: { table, ...wish.flags } });
    onTestFinished(async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      await rm(folder, { recursive: true, force: true });
    });
    const line = await readyLine(child);
    const [, port, admin] = /ready at \S+:(\d+) .*admin (\S+)\)/.exec(line) ?? [];
    if (admin === undefined) throw new Error(`the proxy does not start: ${line}`);
    const exit = once(child, "exit").then(([code]) => code as number | null);
    return new ProxyProcess(child.pid ?? 0, Number(port), `http://${admin}`, exit);
  }

  /** The same, of which another process is in charge now: no child of ours, whose end is not told. */
  atPid(pid: number): ProxyProcess {
    return new ProxyProcess(pid, this.port, this.admin, new Promise(() => undefined));
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** The value of a metric, by its name with labels; 0 if it is not there. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.admin}/metrics`)).text();
    const line = text.split("\n").find((it) => it.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }

  /** Files that it has open: connections above all. */
  async openFiles(): Promise<number> {
    return (await readdir(`/proc/${this.pid}/fd`)).length;
  }

  /** Most resident memory since the start, or since this was last asked to start anew; in bytes. */
  async peakBytes(startAnew = false): Promise<number> {
    const { pid } = this;
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "latin1"));
    // 5 resets the peak to what is resident now.
    if (startAnew) await writeFile(`/proc/${pid}/clear_refs`, "5");
    return Number(peak?.[1]) * 1_024;
  }
}

function spawnProxy({
  baseline,
  flags,
  limits,
  openFiles,
  heapMib,
  nodeFlags = [],
  stderr,
}: ProxyProcessWish): ChildProcess {
  const settings = {
    listen: "127.0.0.1:0",
    admin: "127.0.0.1:0",
    upstream: baseline,
    workload: "shop/cart",
    "access-log": "off",
    ...flags,
  };
  const words = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  for (const limit of Object.entries(limits ?? {})) words.push(`--limit=${limit.join("=")}`);
  const heap = heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`];
  const command = [process.execPath, ...heap, ...nodeFlags, "cli/main.ts", "proxy", ...words];
  const ulimit = openFiles === undefined ? "" : `ulimit -n ${openFiles}; `;
  return spawn("sh", ["-c", `${ulimit}exec "$@"`, "sh", ...command], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", stderr ?? "inherit"],
  });
}

async function readyLine(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (piece: Buffer) => {
    text += piece.toString();
  });
  const deadlineMs = performance.now() + START_MS;
  while (!text.includes("\n") && child.exitCode === null && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return text;
}
