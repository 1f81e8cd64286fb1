/** The command as a process: exit codes, and what is said where. */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PROXY_SETTINGS } from "../proxy/config.ts";
import { freePort } from "../test/harness/free-port.ts";
import { PROXY_FLAGS } from "./commands/proxy.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const SCREEN = { columns: 80, lines: 24 };

describe("help", () => {
  test("fits one screen", async () => {
    const { code, stdout, stderr } = await run(["--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(SCREEN.lines);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(SCREEN.columns);
  });

  test("without a command, help goes to stderr and the usage is wrong", async () => {
    const { code, stdout, stderr } = await run([]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain("Usage: forklane");
  });

  test.each([
    ["start"],
    ["control"],
    ["proxy"],
    ["sandbox", "up"],
    ["sandbox", "list"],
    ["sandbox", "get"],
    ["sandbox", "down"],
    ["explain"],
    ["request"],
    ["trace"],
  ])("%s %s has its own, with the exit codes", async (...words) => {
    const { code, stdout } = await run([...words, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: forklane ${words.join(" ")}`);
    expect(stdout).toContain("Exit codes: 0 done, 1 failed, 2 usage.");
  });

  test("the verbs of a noun are listed", async () => {
    const { stdout } = await run(["sandbox", "--help"]);
    for (const verb of ["up", "list", "get", "down"]) expect(stdout).toContain(`  ${verb}`);
  });

  test("every setting of the proxy is documented", () => {
    expect(PROXY_FLAGS.map((row) => row.setting).sort()).toEqual([...PROXY_SETTINGS].sort());
  });
});

describe("usage errors", () => {
  test.each([
    [["bogus"], "unknown command 'bogus'; see forklane --help"],
    [["sandbox", "bogus"], "unknown command 'bogus'; see forklane sandbox --help"],
    [["start", "--onc"], "(Did you mean --once?); see forklane start --help"],
    [["sandbox", "get"], "missing required argument 'name'; see forklane sandbox get --help"],
    [["sandbox", "up", "jane-42", "--fork", "cart"], "shop/cart=127.0.0.1:9002"],
    [["sandbox", "up", "jane-42", "--ttl-idle", "soon"], "as in 30s"],
    [["explain", "--workload", "cart", "--key", "jane-42"], "namespace/name"],
    [["request", "nowhere", "--key", "jane-42"], "http://127.0.0.1:8080/checkout"],
    [["request", "http://127.0.0.1:1/", "--key", "Jane"], "a-z"],
    [["trace", "jane-42", "--control", "here"], "http://127.0.0.1:7070"],
    [["doctor", "propagation", "--probes", "51"], "a number from 1 to 50"],
    [["start", "--port-base", "65523"], "a port from 1 to 65522"],
  ])("%j exits 2 and says in one line what to do", async (args, says) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test("more ports than rules are written for are counted", async () => {
    const ports = Array.from({ length: 257 }, (_, i) => i + 1).join();
    const { code, stderr } = await run(["intercept", "--inbound-ports", ports]);
    expect(code).toBe(2);
    expect(stderr).toContain("There are 257 ports; at most 256 can be");
  });

  test("with --json they are a problem document on stdout", async () => {
    const { code, stdout, stderr } = await run(["sandbox", "list", "--jso", "--json"]);
    expect(code).toBe(2);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ code: "usage", title: expect.any(String) });
  });

  test("a wrong setting of the proxy is named, with its value", async () => {
    const { code, stderr } = await run(["proxy", "--listen", "8110", "--upstream", "127.0.0.1:1"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--listen");
    expect(stderr).toContain("8110");
  });
});

describe("no control", () => {
  test.each([
    [["sandbox", "list"]],
    [["sandbox", "get", "jane-42"]],
    [["sandbox", "up", "jane-42", "--fork", "shop/cart=127.0.0.1:9002"]],
    [["sandbox", "down", "jane-42"]],
    [["explain", "--workload", "shop/cart", "--key", "jane-42"]],
    [["trace", "00000000000000aa"]],
  ])("%j exits 1, says where it looked and what to start", async (args) => {
    const control = `http://127.0.0.1:${await freePort()}`;
    const { code, stderr } = await run([...args, "--control", control]);
    expect(code).toBe(1);
    expect(stderr).toContain(control);
    expect(stderr).toContain("forklane control");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test("FORKLANE_CONTROL says where to look", async () => {
    const control = `http://127.0.0.1:${await freePort()}`;
    const { stdout, code } = await run(["sandbox", "list", "--json"], {
      FORKLANE_CONTROL: control,
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      code: "control-unreachable",
      detail: expect.stringContaining(control),
    });
  });
});

test("start names the port that is taken", async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  const base = Math.min(port, 65_500);
  const { code, stderr } = await run(["start", "--once", "--port-base", String(base)]);
  server.close();
  expect(code).toBe(2);
  expect(stderr).toMatch(/port \d+ on 127\.0\.0\.1 cannot be had: it is in use; leave --port-base/);
});

test("start names the folder that it cannot write in", async () => {
  const { code, stderr } = await run(["start", "--data", "/no-such-folder/forklane.db"]);
  expect(code).toBe(2);
  expect(stderr).toContain("/no-such-folder");
});

test("an older Node is told which one is needed, before anything else is loaded", async () => {
  const older = "Object.defineProperty(process.versions, 'node', { value: '22.11.0' })";
  const pretend = `data:text/javascript,${encodeURIComponent(older)}`;
  const { code, stderr } = await run(["--help"], {}, ["--import", pretend]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^forklane: Node 22\.11\.0 is too old, 24 or newer is needed/);
});

/** Prints every file of a package that is loaded. */
const LIST_PACKAGES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({
    load(url, context, next) {
      const name = /node_modules.((?:@[^/]+.)?[^/]+)/.exec(url);
      if (name) process.stderr.write("loaded " + name[1] + "\\n");
      return next(url, context);
    },
  });`)}`;

test("a proxy loads neither the HTTP client nor the API server", async () => {
  const { code, stderr } = await run(["proxy", "--listen", "x"], {}, ["--import", LIST_PACKAGES]);
  expect(code).toBe(2);
  expect(stderr).toContain("loaded commander");
  expect(stderr).not.toMatch(/loaded (?:undici|fastify|typebox|@opentelemetry.sdk-node)/);
});

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  args: readonly string[],
  env: Record<string, string> = {},
  nodeArgs: readonly string[] = [],
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, MAIN, ...args], {
      env: { ...process.env, FORKLANE_CONTROL: "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
