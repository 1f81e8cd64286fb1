/** The package as users get it: packed, installed in an empty folder, run by a plain Node. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../repository.ts";

const run = promisify(execFile);

/** How long a process may take to be ready on a busy machine, in milliseconds. */
const READY_MS = 30_000;

/** Only this Node, the one that runs the tests, and none that npm's scripts bring along. */
const ENV = {
  ...process.env,
  PATH: [dirname(process.execPath), "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter),
};

let folder: string;
let installed: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forklane-package-"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: ROOT });
  tarball = join(folder, (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "");
  installed = join(folder, "installed");
  await mkdir(installed);
  await writeFile(join(installed, "package.json"), "{}");
  const flags = ["--omit=optional", "--ignore-scripts", "--prefer-offline", "--no-audit"];
  await run("npm", ["install", ...flags, tarball], { cwd: installed, env: ENV });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("it holds what runs and the first pages, and neither tests nor TypeScript", async () => {
  const { stdout } = await run("tar", ["-tzf", tarball]);
  const files = stdout.trim().split("\n");
  expect(files).toContain("package/dist/cli/main.js");
  expect(files).toContain("package/README.md");
  expect(files.filter((file) => /\.ts$|\.(?:test|cases|fake)\.js$/.test(file))).toEqual([]);
});

test("npx forklane --help names the commands", async () => {
  const { stdout } = await run("npx", ["--no-install", "forklane", "--help"], {
    cwd: installed,
    env: ENV,
  });
  expect(stdout).toContain("proxy");
  expect(stdout).toContain("control");
});

test.each(["1", "2"])(
  "a proxy of %s workers takes a key to its fork and everybody else to the baseline",
  async (workers) => {
    await using baseline = await startUpstream("baseline");
    await using fork = await startUpstream("fork");
    const table = join(folder, "table.json");
    const route = { sandbox: "jane-42", endpoints: [fork.address], onUnavailable: "fail" };
    await writeFile(
      table,
      JSON.stringify({ revision: 1, routes: { "jane-42": route }, known: [] }),
    );
    const listen = `127.0.0.1:${await freePort()}`;
    await using proxy = startForklane([
      ...["proxy", "--listen", listen, "--upstream", baseline.address],
      ...["--workload", "shop/cart", "--table", table, "--workers", workers],
    ]);

    expect(await firstAnswer(proxy, `http://${listen}/`)).toBe("baseline");
    const tagged = await fetch(`http://${listen}/`, { headers: { baggage: "sandbox=jane-42" } });
    expect(await tagged.text()).toBe("fork");
  },
);

test("the demo started from it proves a route and ends", async () => {
  await run(join(installed, "node_modules", ".bin", "forklane"), ["start", "--once"], {
    cwd: installed,
    env: ENV,
  });
});

test("the demo proves a route under the oldest Node that the package allows, too", async () => {
  const { engines } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  const oldest = /^>=([0-9]+)$/.exec(engines.node)?.[1];
  const name = `node-${process.platform}-${process.arch}`;
  const modules = join(folder, "oldest");
  await run("npm", ["install", "--prefix", modules, "--ignore-scripts", `${name}@${oldest}`]);
  const bin = join(modules, "node_modules", name, "bin");
  const { stdout } = await run(join(bin, "node"), ["--version"]);
  expect(stdout).toMatch(new RegExp(`^v${oldest}\\.`));
  const args = ["start", "--once", "--port-base", "21400"];
  await run(join(installed, "node_modules", ".bin", "forklane"), args, {
    cwd: installed,
    env: { ...ENV, PATH: [bin, ENV.PATH].join(delimiter) },
  });
});

/** Answers every request with `text`. */
async function startUpstream(text: string) {
  const server = createServer((_request, response) => response.end(text));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function freePort(): Promise<number> {
  await using upstream = await startUpstream("");
  return Number(upstream.address.split(":")[1]);
}

function startForklane(args: readonly string[]) {
  const child = spawn(join(installed, "node_modules", ".bin", "forklane"), args, {
    cwd: installed,
    env: ENV,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const stderr: string[] = [];
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.push(text));
  const exited = once(child, "exit");
  return {
    child,
    stderr,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** The text of the first answer, asked for until something listens. */
async function firstAnswer(
  started: { readonly child: ChildProcess; readonly stderr: readonly string[] },
  url: string,
): Promise<string> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      return await (await fetch(url)).text();
    } catch (cause) {
      const isGone = started.child.exitCode !== null;
      if (isGone || Date.now() > deadline) {
        throw new Error(`no answer from ${url}: ${started.stderr.join("")}`, { cause });
      }
    }
    await sleep(50);
  }
}
