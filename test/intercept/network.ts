/** Hosts for the suite: network namespaces on one bridge, with real programs and real rules in them. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../repository.ts";

/**
 * What all namespaces and links of ours begin with, and the process that made them: several runs at
 * once leave each other alone, and leftovers of one that crashed are found. With an index behind it,
 * a link's name has at most 15 characters.
 */
const PREFIX = "flt";
const OWN_PREFIX = `${PREFIX}${process.pid}`;
const BRIDGE = `${OWN_PREFIX}-br`;
const MISSING = "run it as root, after test/tools/install.sh intercept";
const PROGRAM_MS = 30_000;
/** How long a process may take to say that it is ready, on a busy machine. */
const START_MS = 30_000;

/** What a program did. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process in a namespace. */
export interface Running {
  readonly child: ChildProcess;
  /** Everything that it has written. */
  output(): string;
  /** Sends a signal and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** The user of a process: none is root. */
export type User = "proxy" | "nobody";

/** One host: a namespace with an address of each IP version. */
export class Host {
  readonly namespace: string;
  /** The other end of its `eth0`, outside. */
  readonly link: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly #running = new Set<Running>();

  constructor(name: string, index: number) {
    this.namespace = `${OWN_PREFIX}-${name}`;
    this.link = `${OWN_PREFIX}-${index}`;
    this.ipv4 = `198.18.0.${index}`;
    this.ipv6 = `fd00:f0::${index.toString(16)}`;
  }

  /** Runs a program to its end; never throws for what it answers. */
  run(command: readonly string[], input = "", user?: User): Outcome {
    const [program = "", ...args] = this.#words(command, user);
    const { status, stdout, stderr, error } = spawnSync(program, args, {
      input,
      encoding: "utf8",
      timeout: PROGRAM_MS,
      cwd: ROOT,
    });
    if (error !== undefined && !("code" in error && error.code === "ETIMEDOUT")) throw error;
    return { status, stdout, stderr };
  }

  /** Runs a program that has to succeed; returns what it wrote. */
  must(command: readonly string[], input = ""): string {
    const { status, stdout, stderr } = this.run(command, input);
    if (status === 0) return stdout;
    throw new Error(`${command.join(" ")} in ${this.namespace}: ${stderr || stdout}`);
  }

  /** Where a program is found. */
  pathOf(program: string): string {
    return this.must(["sh", "-c", `command -v ${program}`]).trim();
  }

  /** The command `forklane`, from this checkout. */
  forklane(args: readonly string[], user?: User): Outcome {
    return this.run([process.execPath, "cli/main.ts", ...args], "", user);
  }

  /** Runs a program to its end without stopping this process meanwhile. */
  async runBeside(command: readonly string[]): Promise<Outcome> {
    const [program = "", ...args] = this.#words(command);
    const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (bytes) => (stdout += bytes));
    child.stderr.on("data", (bytes) => (stderr += bytes));
    const timer = setTimeout(() => child.kill("SIGKILL"), PROGRAM_MS);
    const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
    clearTimeout(timer);
    return { status, stdout, stderr };
  }

  /** Starts a process and waits until it has written `ready`. */
  async start(command: readonly string[], ready: string | RegExp, user?: User): Promise<Running> {
    const [program = "", ...args] = this.#words(command, user);
    const child = spawn(program, args, { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (bytes) => (output += bytes));
    child.stderr.on("data", (bytes) => (output += bytes));
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const running: Running = {
      child,
      output: () => output,
      stop: async (signal = "SIGKILL") => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        await ended;
        this.#running.delete(running);
      },
    };
    this.#running.add(running);
    const isReady = () => (typeof ready === "string" ? output.includes(ready) : ready.test(output));
    const failure = await untilReady(child, isReady);
    if (failure === null) return running;
    await running.stop();
    throw new Error(`${command.join(" ")} ${failure}: ${output}`);
  }

  /** Starts the real proxy as its own user. */
  async startProxy(flags: readonly string[]): Promise<Running> {
    const all = ["--workload", "shop/cart", "--access-log", "off", ...flags];
    return await this.start(
      [process.execPath, "cli/main.ts", "proxy", ...all],
      "is ready at",
      "proxy",
    );
  }

  /** Starts a service that answers with its name, the method, its port and some request headers. */
  async startService(name: string, listen: string, ports: readonly number[]): Promise<Running> {
    const script = join(import.meta.dirname, "service-main.ts");
    return await this.start([process.execPath, script, name, listen, ports.join()], "ready");
  }

  /** The rules in the tables, without counters and comments. */
  rules(program = "iptables-nft"): string {
    return this.must([`${program}-save`])
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.replace(/ \[\d+:\d+\]$/, ""))
      .join("\n");
  }

  /** Ends all processes and forgets the rules. */
  async clear(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()));
    for (const backend of ["nft", "legacy"]) {
      for (const version of ["iptables", "ip6tables"]) clearTables(this, `${version}-${backend}`);
    }
  }

  #words(command: readonly string[], user?: User): string[] {
    return ["ip", "netns", "exec", this.namespace, ...asUser(user), ...command];
  }
}

/** All hosts of a test file, joined by one bridge. */
export class Network {
  readonly #hosts: Host[] = [];
  /** A folder for what a test writes; gone with the network. */
  readonly folder = mkdtempSync(join(tmpdir(), "forklane-intercept-"));

  /** Makes the bridge, after removing what a run before has left. */
  static create(): Network {
    removeLeftovers();
    root(["ip", "link", "add", BRIDGE, "type", "bridge"]);
    root(["ip", "link", "set", BRIDGE, "up"]);
    return new Network();
  }

  /** Adds a host. */
  addHost(name: string): Host {
    const host = new Host(name, this.#hosts.length + 1);
    const { namespace, link } = host;
    root(["ip", "netns", "add", namespace]);
    const peer = ["peer", "name", "eth0", "netns", namespace];
    root(["ip", "link", "add", link, "type", "veth", ...peer]);
    root(["ip", "link", "set", link, "master", BRIDGE, "up"]);
    host.must(["ip", "link", "set", "lo", "up"]);
    host.must(["ip", "link", "set", "eth0", "up"]);
    host.must(["ip", "address", "add", `${host.ipv4}/24`, "dev", "eth0"]);
    // Without the check for duplicates, which takes a second.
    host.must(["ip", "address", "add", `${host.ipv6}/64`, "dev", "eth0", "nodad"]);
    this.#hosts.push(host);
    return host;
  }

  /** Ends the processes of all hosts and empties their tables. */
  async clear(): Promise<void> {
    for (const host of this.#hosts) await host.clear();
  }

  /** Removes everything. */
  async remove(): Promise<void> {
    await this.clear();
    removeLeftovers();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Resolves once what the process has written makes it ready, or with what is wrong. */
async function untilReady(child: ChildProcess, isReady: () => boolean): Promise<string | null> {
  return await new Promise((resolve) => {
    const timer = setTimeout(() => resolve("was not ready in time"), START_MS);
    const settle = (failure: string | null): void => {
      clearTimeout(timer);
      resolve(failure);
    };
    const look = () => {
      if (isReady()) settle(null);
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    child.once("exit", () => settle("ended"));
  });
}

/** The proxy's user may read a checkout wherever it lies, and has no other privilege. */
function asUser(user: User | undefined): string[] {
  if (user === undefined) return [];
  const id = user === "proxy" ? "7470" : "65534";
  const read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"];
  return ["setpriv", `--reuid=${id}`, `--regid=${id}`, "--clear-groups", ...read];
}

function clearTables(host: Host, program: string): void {
  if (!host.run([`${program}-save`]).stdout.includes("*nat")) return;
  host.run([program, "-t", "nat", "-F"]);
  host.run([program, "-t", "nat", "-X"]);
}

/** By our own prefix only: namespaces with their processes, and the links that are left. */
function removeLeftovers(): void {
  for (const namespace of leftovers(root(["ip", "netns", "list"]), /^(\S+)/gm)) {
    const pids = root(["ip", "netns", "pids", namespace]).split("\n").filter(Boolean);
    for (const pid of pids) killQuietly(Number(pid));
    root(["ip", "netns", "delete", namespace]);
  }
  for (const link of leftovers(root(["ip", "-o", "link", "show"]), /^\d+: ([^:@]+)[:@]/gm)) {
    spawnSync("ip", ["link", "delete", link]);
  }
}

/** Names of this process, and of those that are no more. */
function leftovers(list: string, names: RegExp): string[] {
  return [...list.matchAll(names)].flatMap(([, name = ""]) => {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    return pid === process.pid || (pid > 0 && !isAlive(pid)) ? [name] : [];
  });
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** `ip link` outside of all hosts. */
export function rootLink(words: readonly string[]): void {
  root(["ip", "link", ...words]);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function root([program = "", ...args]: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr.trim()}; ${MISSING}`);
}
