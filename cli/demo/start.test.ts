/** The demo as a user runs it, and the other commands against what it leaves running. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { chooseDemoPorts, type DemoPorts } from "./ports.ts";

const MAIN = join(import.meta.dirname, "../main.ts");

/** A test starts ten processes and more, or several commands one after the other, on a busy machine. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forklane-start-"));
});

afterAll(() => rm(folder, { recursive: true }));

test("start --once proves the claim in words, and ends with 0", async () => {
  const { code, stdout } = await run(["start", "--once", "--port-base", await portBase()]);
  expect(stdout).toMatch(/shop\/pricing +FORK +fork .* confirmed$/m);
  expect(stdout).toContain("proof complete: 6 of 6 hops recorded");
  expect(code).toBe(0);
});

describe("while it is up", () => {
  let demo: Demo;
  let control: string[];
  let edge: string;

  beforeAll(async () => {
    demo = await startDemo();
    control = ["--control", `http://127.0.0.1:${demo.ports.control}`];
    edge = `http://127.0.0.1:${demo.ports.edge}/checkout`;
  });

  afterAll(() => demo.process.kill("SIGKILL"));

  test("a tagged request shows its hops, and who served each", async () => {
    const { code, stdout } = await run(["request", edge, "--key", "jane-42", ...control]);
    expect(stdout).toContain("jane-42! (header)");
    expect(stdout).toMatch(/shop\/pricing +FORK/);
    expect(stdout).toContain("complete: 6 hops recorded");
    expect(code).toBe(0);
  });

  test("to a sidecar the tag goes as baggage", async () => {
    const frontend = `http://127.0.0.1:${demo.ports.proxies.frontend}/checkout`;
    const args = ["request", "get", frontend, "--key", "jane-42", "--json", ...control];
    const { code, stdout } = await run(args);
    const outcome = JSON.parse(stdout);
    expect(outcome.request).toMatchObject({ method: "GET", tag: "jane-42!", tagAs: "baggage" });
    expect(outcome.trace.hops).toHaveLength(5);
    expect(code).toBe(0);
  });

  test("a key that nobody has is refused, not answered by the baseline", async () => {
    const { code, stdout, stderr } = await run(["request", edge, "--key", "nobody", ...control]);
    expect(stdout).toContain("status 424");
    expect(stderr).toContain("unknown-key");
    expect(stderr).toContain("forklane sandbox list");
    expect(code).toBe(1);
  });

  test("without being strict, a key that nobody has is answered, and the route is not proved", async () => {
    const args = ["request", edge, "--key", "nobody", "--no-strict", "--json", ...control];
    const { code, stdout } = await run(args);
    expect(JSON.parse(stdout)).toMatchObject({ code: "trace-incomplete", answer: { status: 200 } });
    expect(code).toBe(1);
  });

  test("the trace of a request can be read again", async () => {
    const sent = await run(["request", edge, "--key", "jane-42", "--json", ...control]);
    const { root } = JSON.parse(sent.stdout).trace;
    const { code, stdout } = await run(["trace", root, "--wait", ...control]);
    expect(stdout).toMatch(/shop\/pricing +FORK/);
    expect(code).toBe(0);
  });

  test("a trace that nobody recorded is an error of control, with its code", async () => {
    const { code, stdout } = await run(["trace", "00000000000000aa", "--json", ...control]);
    expect(JSON.parse(stdout)).toMatchObject({ code: "trace-unknown", fix: expect.any(String) });
    expect(code).toBe(1);
  });

  test("explain says where a request would go, without sending it", async () => {
    const at = (workload: string) =>
      run(["explain", "--workload", workload, "--key", "jane-42!", ...control]);
    expect((await at("shop/pricing")).stdout).toContain("shop/pricing: fork at 127.0.0.1:");
    expect((await at("shop/cart")).stdout).toContain("reason not-forked");
  });

  test("a sandbox can be made, listed, shown and deleted", async () => {
    const fork = `shop/loyalty=127.0.0.1:${demo.ports.services.loyalty}`;
    const up = ["sandbox", "up", "ann", "--fork", fork, "--key", "ann-1", "--label", "team=a"];
    const dry = await run([...up, "--dry-run", ...control]);
    expect(dry.stdout).toContain("would create sandbox ann");
    const made = await run([...up, "--wait", ...control]);
    expect(made.stdout).toContain("sandbox ann  ready  key ann-1");
    expect(made.code).toBe(0);
    const listed = await run(["sandbox", "list", "--selector", "team=a", ...control]);
    expect(listed.stdout).toMatch(/^ann +ann-1 +yes +shop\/loyalty +team=a$/m);
    expect(listed.stdout).not.toContain("jane-42");
    const got = await run(["sandbox", "get", "ann", "--json", ...control]);
    expect(JSON.parse(got.stdout)).toMatchObject({ name: "ann", status: { ready: true } });
    expect((await run(["sandbox", "down", "ann", ...control])).code).toBe(0);
    const gone = await run(["sandbox", "get", "ann", ...control]);
    expect(gone.stderr).toContain("ann");
    expect(gone.code).toBe(1);
  });

  test("a sandbox whose fork does not answer is not ready, and says why", async () => {
    const args = ["sandbox", "up", "dead", "--fork", "shop/loyalty=127.0.0.1:1", "--key", "dead-1"];
    const { code, stdout } = await run([
      ...args,
      "--wait",
      "--timeout",
      "500ms",
      "--json",
      ...control,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      code: "not-ready",
      detail: expect.stringContaining("Available"),
    });
    expect(code).toBe(1);
    await run(["sandbox", "down", "dead", ...control]);
  });

  test("a body that control refuses is an error that names what is wrong", async () => {
    const args = ["sandbox", "up", "ann", "--fork", "shop/cart=169.254.169.254:80", ...control];
    const { code, stderr } = await run(args);
    expect(stderr).toContain("169.254.169.254");
    expect(code).toBe(1);
  });

  test("SIGINT stops all of it and ends with 0", async () => {
    demo.process.kill("SIGINT");
    expect(await demo.exit).toBe(0);
    expect(await listening(demo.ports)).toEqual([]);
  });
});

test("nothing stays behind when the demo is killed", async () => {
  const demo = await startDemo();
  expect(await listening(demo.ports)).not.toEqual([]);
  demo.process.kill("SIGKILL");
  await demo.exit;
  await expect.poll(() => listening(demo.ports), { timeout: 30_000 }).toEqual([]);
});

/**
 * Not the usual ports: another suite, or somebody at this machine, may run a demo too. All are free, and
 * no other process of the tests begins its search there.
 */
async function portBase(): Promise<string> {
  for (let base = 20_000 + (process.pid % 500) * 20; base < PORT_BASE_END; base += 20) {
    const isFree = await chooseDemoPorts(base).then(
      () => true,
      () => false,
    );
    if (isFree) return String(base);
  }
  throw new Error("no free ports for a demo");
}

/** From here on ports are those of outgoing connections. */
const PORT_BASE_END = 32_000;

interface Demo {
  readonly process: ChildProcess;
  readonly ports: DemoPorts;
  readonly exit: Promise<number | null>;
}

/** Starts the demo and waits for the JSON document that it prints when it is up. */
async function startDemo(): Promise<Demo> {
  const args = [MAIN, "start", "--json", "--port-base", await portBase()];
  return await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exit = new Promise<number | null>((done) => child.once("exit", done));
    let stdout = "";
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (!stdout.endsWith("\n}\n")) return;
      resolve({ process: child, ports: JSON.parse(stdout).ports, exit });
    });
    child.once("exit", () => reject(new Error(`the demo did not come up: ${stderr}${stdout}`)));
  });
}

/** Ports of the demo that still take connections. */
async function listening(ports: DemoPorts): Promise<number[]> {
  const { proxies, services, ...others } = ports;
  const all = [...Object.values(others), ...Object.values(proxies), ...Object.values(services)];
  const taken = await Promise.all(all.map(async (port) => ((await isTaken(port)) ? [port] : [])));
  return taken.flat();
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
