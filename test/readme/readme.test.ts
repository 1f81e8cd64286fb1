/** The commands of README.md's marked blocks (commands.ts), run as a reader's shell would. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT, readText } from "../repository.ts";
import { testedCommands } from "./commands.ts";

const run = promisify(execFile);

/** What a reader runs first, and what `.ci/run` has run already; `npm ci` is done where tests run. */
const START = "npm ci && npm start";
const TEST = "npm ci && npm test";

const READY_MS = 60_000;
const STOP_MS = 20_000;

const COMMANDS = testedCommands(readText("README.md"));

test("commands are read a line each, from marked blocks only", () => {
  const text = [
    ...["```sh", "no", "```", "```sh tested", "# why", "a \\", "  b", "", "c  # d", "```"],
    ...["text", "```sh tested", "e", "```"],
  ].join("\n");
  expect(testedCommands(text)).toEqual(["a b", "c  # d", "e"]);
});

test("npm start -- --once proves the README's main claim and ends", async () => {
  expect(COMMANDS).toContain(START);
  expect(COMMANDS).toContain(TEST);
  await shell("npm start -- --once");
});

test("the README's further commands succeed while npm start runs", async () => {
  const further = COMMANDS.filter((command) => command !== START && command !== TEST);
  expect(further.length).toBeGreaterThan(0);
  const start = spawn("npm", ["start"], {
    cwd: ROOT,
    env: readersEnvironment(),
    stdio: "ignore",
    detached: true,
  });
  const exited = once(start, "exit");
  try {
    for (const command of further) await succeeds(command, start);
  } finally {
    await stop(start, exited);
  }
});

/** Runs the command until it succeeds, since what it needs may still be starting. */
async function succeeds(command: string, start: ChildProcess): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      await shell(command);
      return;
    } catch (error) {
      if (start.exitCode !== null) throw new Error("npm start has ended", { cause: error });
      if (Date.now() > deadline) throw error;
    }
    await sleep(250);
  }
}

async function shell(command: string): Promise<void> {
  await run("bash", ["-euo", "pipefail", "-c", command], { cwd: ROOT, env: readersEnvironment() });
}

/** A reader's shell knows neither npm's variables nor the programs that `npm ci` brought. */
function readersEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|VITEST|NODE_ENV$)/.test(name),
  );
  const path = (process.env["PATH"] ?? "").split(delimiter);
  return {
    ...Object.fromEntries(own),
    PATH: path.filter((folder) => !folder.includes("node_modules")).join(delimiter),
  };
}

/** Ends it as Ctrl-C does: npm and all that it started hear the signal. */
async function stop(start: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const signal = (name: NodeJS.Signals) => {
    const isRunning = start.exitCode === null && start.signalCode === null;
    if (start.pid !== undefined && isRunning) process.kill(-start.pid, name);
  };
  signal("SIGINT");
  const inTime = await Promise.race([
    exited.then(() => true),
    sleep(STOP_MS, false, { ref: false }),
  ]);
  if (!inTime) signal("SIGKILL");
  expect(inTime, "npm start ends on Ctrl-C").toBe(true);
}
