import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { ProxyProcess } from "../harness/proxy-process.ts";
import { response, startUpstream } from "../harness/upstream.ts";

const PATIENCE = { timeout: 30_000 };

/** More than the kernel takes for a caller that reads nothing. */
const LARGE = response("x".repeat(16 * 1024 * 1024));

/** A tool of others with the same intent; it gives up after 20 s, far past our deadlines. */
async function slowHttpTest(port: number, ...mode: string[]): Promise<string> {
  const common = ["-c", "100", "-r", "100", "-p", "5"];
  const child = spawn("slowhttptest", [...common, ...mode, "-u", `http://127.0.0.1:${port}/`]);
  const missing = new Promise<string>((resolve) => {
    child.on("error", () => resolve("slowhttptest is missing: test/tools/install.sh stress"));
  });
  return await Promise.race([text(child.stdout), missing]);
}

async function start(reply: string): Promise<ProxyProcess> {
  const baseline = await startUpstream(reply);
  const limits = { headTimeoutMs: 3_000, bodyIdleMs: 3_000 };
  return await ProxyProcess.start({ baseline: baseline.at, limits });
}

const IS_SERVED = /service available:\S* +\S*YES/;

test.each([
  ["heads", ["-H", "-i", "1", "-x", "24"]],
  ["bodies", ["-B", "-i", "10", "-s", "8192"]],
])(
  "slowhttptest with slow %s is left without a connection, and others are served",
  async (_what, mode) => {
    const proxy = await start(response("ok"));
    const told = await slowHttpTest(proxy.port, "-l", "20", ...mode);
    expect(told).toContain("No open connections left");
    expect(told).toMatch(IS_SERVED);
  },
);

test("slowhttptest that reads slowly is cut off, and others are served", async () => {
  const proxy = await start(LARGE);
  const told = await slowHttpTest(proxy.port, "-l", "10", "-X", "-w", "1", "-y", "2", "-n", "10");
  expect(told).toMatch(IS_SERVED);
  // It does not notice by itself that it was reset.
  const cutOff = () => proxy.metric('forklane_faults_total{code="body-timeout"}');
  await expect.poll(cutOff, PATIENCE).toBeGreaterThanOrEqual(100);
  await expect.poll(() => proxy.metric("forklane_downstream_connections"), PATIENCE).toBe(0);
});
