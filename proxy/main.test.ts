import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freePort } from "../test/harness/free-port.ts";
import { bequeath } from "./supervisor/config.ts";
import { ListeningSocket } from "./supervisor/listening-socket.ts";
import { FakeControl } from "./watch/control.fake.ts";

type Flags = Readonly<Record<string, string>>;

/** Runs the proxy as the command does; says which modules it loaded when it stops. */
const SCRIPT = `
  import { registerHooks } from "node:module";
  const loaded = [];
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      loaded.push(resolved.url);
      return resolved;
    },
  });
  const [, , main, flags] = process.argv;
  const { runProxy } = await import(main);
  const code = await runProxy(JSON.parse(flags));
  const all = [...loaded, ...process.moduleLoadList].filter((name) =>
    /opentelemetry|undici|prom-client|proxy.supervisor/.test(name));
  process.stderr.write("LOADED " + JSON.stringify(all) + "\\n");
  process.exit(code);
`;

/** How long a process may take to start on a busy machine, in milliseconds; a test starts two at most. */
const START_MS = 30_000;

vi.setConfig({ testTimeout: 3 * START_MS });

interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exit: Promise<number | null>;
  stdout: string;
  stderr: string;
}

/** What a process is started with beside its flags: descriptors from 3, and variables. */
interface Handed {
  readonly stdio: ("pipe" | number)[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

const NOTHING: Handed = { stdio: [], env: {} };

const runs: Run[] = [];
let control: FakeControl;
let upstream: http.Server;
let dir: string;

beforeEach(async () => {
  control = new FakeControl();
  await control.start();
  upstream = http.createServer((request, response) => response.end(`baseline ${request.url}`));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  dir = await mkdtemp(path.join(tmpdir(), "forklane-main-"));
  await writeFile(path.join(dir, "run.mjs"), SCRIPT);
});
afterEach(async () => {
  for (const { child } of runs.splice(0)) child.kill("SIGKILL");
  await control.kill();
  upstream.close();
  upstream.closeAllConnections();
  await rm(dir, { recursive: true });
});

/** `stderr`: where its log goes in place of `Run.stderr`; `more` descriptors and variables that it is handed. */
function run(flags: Flags, stderr: number | null = null, more: Handed = NOTHING): Run {
  const { port } = upstream.address() as AddressInfo;
  const quick = { listen: "127.0.0.1:0", upstream: `127.0.0.1:${port}`, workload: "shop/cart" };
  const words = JSON.stringify({ ...quick, ...flags });
  const main = new URL("main.ts", import.meta.url).href;
  const child = spawn(process.execPath, [path.join(dir, "run.mjs"), main, words], {
    stdio: ["pipe", "pipe", stderr ?? "pipe", ...more.stdio],
    env: { ...process.env, ...more.env },
  }) as ChildProcessWithoutNullStreams;
  // "close" comes after the last byte of what it said, "exit" may come before it.
  const exit = once(child, "close").then(([code]) => code as number | null);
  const started: Run = { child, exit, stdout: "", stderr: "" };
  child.stdout.on("data", (piece: Buffer) => {
    started.stdout += piece.toString();
  });
  child.stderr?.on("data", (piece: Buffer) => {
    started.stderr += piece.toString();
  });
  runs.push(started);
  return started;
}

async function readyAt(started: Run): Promise<string> {
  await expect.poll(() => started.stdout, { timeout: START_MS }).toMatch(/is ready at/);
  return /is ready at (\S+)/.exec(started.stdout)?.[1] ?? "";
}

function get(address: string, headers: Flags = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get(`http://${address}/items`, { headers, agent: false }, (response) => {
        text(response).then(resolve, reject);
      })
      .on("error", reject);
  });
}

it.each(["gone", "full"])(
  "serves on, and stops in order, where the reader of its log is %s",
  async (reader) => {
    const table = path.join(dir, "table.json");
    await writeFile(table, JSON.stringify({ revision: 1, routes: {}, known: [] }));
    const full = reader === "full" ? openSync("/dev/full", "w") : null;
    const started = run({ table, limit: "drainAcceptMs=1" }, full);
    const ready = await readyAt(started);
    const exit = once(started.child, "exit");
    if (full === null) {
      started.child.stdout.destroy();
      started.child.stderr?.destroy();
    } else closeSync(full);
    const ask = async () => (await fetch(`http://${ready}/x`)).text();
    for (let revision = 2; revision < 4; revision++) {
      // A table that cannot be taken is worth a line, and so is one that can behind it.
      await writeFile(table, "no table");
      expect(await ask()).toBe("baseline /x");
      await writeFile(table, JSON.stringify({ revision, routes: {}, known: [] }));
      expect(await ask()).toBe("baseline /x");
    }
    started.child.kill("SIGTERM");
    expect((await exit)[0]).toBe(0);
  },
);

describe("a proxy process", () => {
  it("serves, reports what it saw, drains on SIGTERM, and exits 0", async () => {
    const workloads = { "shop/cart": { routes: {} } };
    control.onWatch = (watch) => {
      control.sendSnapshot("e.1", { workloads, known: ["jane-42"] }, watch);
    };
    const started = run({
      control: control.url,
      instance: "cart-1",
      admin: "127.0.0.1:0",
      limit: "drainAcceptMs=50",
    });
    const address = await readyAt(started);
    expect(await get(address)).toBe("baseline /items");
    expect(await get(address, { baggage: "sandbox=jane-42" })).toBe("baseline /items");
    await expect
      .poll(() => control.records)
      .toMatchObject([
        {
          workload: "shop/cart",
          proxy: "cart-1",
          key: "jane-42",
          reason: "not-forked",
          status: 200,
        },
      ]);
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(0);
    expect(control.lastStatus).toMatchObject({ leaving: true, applied: ["e.1"] });
    expect(control.lastStatus?.counters["exchanges"]).toBe(2);
    expect(started.stdout).toContain('"reason":"not-forked"');
    expect(started.stderr).toContain("LOADED []");
  });

  it("loads no library that its settings do not ask for", async () => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}}');
    const started = run({ table, limit: "drainAcceptMs=50" });
    await get(await readyAt(started));
    started.child.kill("SIGINT");
    expect(await started.exit).toBe(0);
    expect(started.stderr).toContain("LOADED []");
  });

  it("exits 2 for a wrong setting, and names it", async () => {
    const started = run({ table: "t.json", mode: "sidecar" });
    expect(await started.exit).toBe(2);
    expect(started.stderr).toContain('--mode: "sidecar"');
  });

  it.each([
    ["listen", "1"],
    ["admin", "1"],
    ["listen", "2"],
    ["admin", "2"],
  ])("exits 2 when the address of --%s is taken, with %s workers", async (setting, workers) => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}}');
    const other = net.createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    const started = run({ table, workers, [setting]: address });
    expect(await started.exit).toBe(2);
    expect(started.stderr).toContain(`--${setting} ${address}`);
    other.close();
  });

  it("exits 2 when its state directory cannot be written, or its table cannot be read", async () => {
    const blocked = path.join(dir, "a-file");
    await writeFile(blocked, "");
    const stateless = run({ control: control.url, "state-dir": blocked });
    const tableless = run({ table: path.join(dir, "absent.json") });
    expect(await stateless.exit).toBe(2);
    expect(stateless.stderr).toContain(blocked);
    expect(await tableless.exit).toBe(2);
    expect(tableless.stderr).toContain("absent.json");
  });

  it("exits 2 when what its workers need is missing, and names it", async () => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}}');
    const absent = path.join(dir, "absent", "file");
    const logless = run({ table, workers: "2", "access-log": absent });
    const tableless = run({ table: absent, workers: "2" });
    expect(await logless.exit).toBe(2);
    expect(logless.stderr).toContain(`--access-log: the file cannot be written`);
    expect(await tableless.exit).toBe(2);
    expect(tableless.stderr).toContain(absent);
  });

  it("writes the access log of all its workers to its output, line by line", async () => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}, "known": ["jane-42"]}');
    const started = run({ table, workers: "2", limit: "drainAcceptMs=50" });
    const address = await readyAt(started);
    const tagged = () => get(address, { baggage: "sandbox=jane-42" });
    await Promise.all(Array.from({ length: 50 }, tagged));
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(0);
    const [ready, ...lines] = started.stdout.trimEnd().split("\n");
    expect(ready).toContain("is ready at");
    expect(lines.map((line) => JSON.parse(line).key)).toEqual(Array(50).fill("jane-42"));
    expect(started.stderr).toContain("supervisor.ts");
  });

  it.each(["1", "2"])(
    "stops while it waits for its first table, with %s workers",
    async (workers) => {
      const started = run({ control: control.url, workers });
      await expect.poll(() => control.watches.length, { timeout: START_MS }).toBe(1);
      started.child.kill("SIGTERM");
      expect(await started.exit).toBe(0);
      expect(started.stdout).toBe("");
      await expect.poll(() => control.lastStatus?.leaving).toBe(true);
    },
  );

  it("ends at once when it is told twice while it waits for its first table", async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const started = run({ control: control.url, listen, limit: "drainedBodyMs=600000" });
    await expect.poll(() => control.watches.length, { timeout: START_MS }).toBe(1);
    const waiting = net.connect({ port: Number(listen.split(":")[1]), allowHalfOpen: true });
    await once(waiting, "connect");
    started.child.kill("SIGTERM");
    expect(String((await once(waiting, "data"))[0])).toMatch(/^HTTP\/1.1 503 /);
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(1);
    waiting.destroy();
  });

  it("is ready, and stops in order, from when the one before is told to leave", async () => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}}');
    const configured = { host: "127.0.0.1", port: 0 };
    const socket = await ListeningSocket.bind(configured);
    const listen = { configured, bound: socket.bound, fd: 4 };
    const env = bequeath({ generation: 2, listen, admin: null }, {});
    const flags = { table, workers: "2", limit: "drainAcceptMs=1" };
    const started = run(flags, null, { stdio: ["pipe", socket.fd], env });
    const told = started.child.stdio[3] as unknown as Readable;
    await once(told, "data");
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(0);
    expect(started.stdout).toMatch(/is ready at/);
    socket.close();
  });

  it("goes on after signals on which only several workers restart, and stops in order after", async () => {
    const workloads = { "shop/cart": { routes: {} } };
    control.onWatch = (watch) => control.sendSnapshot("e.1", { workloads, known: [] }, watch);
    const started = run({ control: control.url, limit: "drainAcceptMs=1" });
    const address = await readyAt(started);
    for (const signal of ["SIGHUP", "SIGUSR2"] as const) {
      started.child.kill(signal);
      expect(await get(address)).toBe("baseline /items");
    }
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(0);
  });

  it.each(["1", "2"])("ends at once when it is told twice, with %s workers", async (workers) => {
    const table = path.join(dir, "table.json");
    await writeFile(table, '{"revision": 1, "routes": {}}');
    upstream.removeAllListeners("request");
    const started = run({ table, workers });
    const hanging = get(await readyAt(started)).catch(() => "cut");
    await expect.poll(() => connectionsOf(upstream)).toBe(1);
    started.child.kill("SIGTERM");
    await expect.poll(() => started.stderr).toContain("stopping");
    started.child.kill("SIGTERM");
    expect(await started.exit).toBe(1);
    expect(await hanging).toBe("cut");
  });
});

function connectionsOf(server: http.Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
}
