import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { ControlClient } from "./client/client.ts";
import { JANE, startControl } from "./control.fake.ts";

const RUNNER = fileURLToPath(new URL("runner.fake.ts", import.meta.url));

/** How long a process may take to start on a busy machine, in milliseconds; a test starts three at most. */
const START_MS = 30_000;
const TEST_MS = 4 * START_MS;

interface Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly out: { text: string };
  readonly err: { text: string };
  /** Resolves with exit code and signal. */
  readonly over: Promise<unknown[]>;
}

function run(flags: Record<string, string>): Run {
  const text = JSON.stringify({ listen: "127.0.0.1:0", ...flags });
  const child = spawn(process.execPath, [RUNNER, text], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [out, err] = [{ text: "" }, { text: "" }];
  child.stdout.on("data", (chunk) => (out.text += String(chunk)));
  child.stderr.on("data", (chunk) => (err.text += String(chunk)));
  return { child, out, err, over: once(child, "close") };
}

async function listening({ out }: Run): Promise<ControlClient> {
  await expect.poll(() => out.text, { timeout: START_MS }).toContain("\n");
  const url = /http:\S+/.exec(out.text)?.[0] ?? "";
  const client = new ControlClient({ url });
  onTestFinished(() => client.close());
  return client;
}

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "forklane-main-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "forklane.db");
}

test(
  "it prints one line when it listens, and a signal stops it cleanly",
  async () => {
    const control = run({ data: freshFile() });
    await listening(control);
    expect(control.out.text).toMatch(/^forklane control listens on http:\/\/127\.0\.0\.1:\d+\n$/);
    control.child.kill("SIGTERM");
    expect(await control.over).toEqual([0, null]);
    expect(control.err.text).toBe("");
  },
  TEST_MS,
);

test(
  "a second one on the same file exits 2 and names it; what was acknowledged survives kill -9",
  async () => {
    const data = freshFile();
    const first = run({ data });
    const client = await listening(first);
    await client.putSandbox("jane-42", JANE);
    const second = run({ data });
    expect(await second.over).toEqual([2, null]);
    expect(second.err.text).toContain(data);
    first.child.kill("SIGKILL");
    await first.over;
    const third = await listening(run({ data }));
    expect(await third.getSandbox("jane-42")).toMatchObject(JANE);
  },
  TEST_MS,
);

test.each([
  ["a listen address that is not loopback", { listen: "0.0.0.0:7070" }, "0.0.0.0:7070"],
  ["a folder that is not there", { data: "/absent/forklane.db" }, "/absent/forklane.db"],
])(
  "%s exits 2",
  async (_, flags, named) => {
    const control = run(flags);
    expect(await control.over).toEqual([2, null]);
    expect(control.err.text).toContain(named);
    expect(control.out.text).toBe("");
  },
  TEST_MS,
);

test(
  "a port that is taken and a file that is no store exit 2, named",
  async () => {
    const running = await startControl();
    const taken = run({ listen: `127.0.0.1:${running.address.port}`, data: ":memory:" });
    expect(await taken.over).toEqual([2, null]);
    expect(taken.err.text).toContain(String(running.address.port));
    const data = freshFile();
    writeFileSync(data, "no store".repeat(1_000));
    const corrupt = run({ data });
    expect(await corrupt.over).toEqual([2, null]);
    expect(corrupt.err.text).toContain(data);
  },
  TEST_MS,
);
