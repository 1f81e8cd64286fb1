import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Children } from "./child.ts";
import { freePort, waitForPort } from "./port.ts";

const START_MS = 10_000;

function nodeScript(script: string): { name: string; program: string; args: string[]; cpu: null } {
  return { name: "script", program: process.execPath, args: ["-e", script], cpu: null };
}

test("a process that is started is stopped, and its port is free again", async () => {
  const children = new Children();
  const port = await freePort();
  const child = children.start(nodeScript(`require("net").createServer().listen(${port})`));
  await waitForPort(port, START_MS, () => child.endReason());
  await children.stopAll();
  expect(child.endReason()).toContain("script ended (SIGTERM)");
  await expect(waitForPort(port, 50, () => null)).rejects.toThrow("nothing accepts");
});

test("a process that does not listen to SIGTERM is killed at the deadline", async () => {
  const children = new Children(50);
  const port = await freePort();
  const script = `process.on("SIGTERM", () => {}); require("net").createServer().listen(${port})`;
  const child = children.start(nodeScript(script));
  await waitForPort(port, START_MS, () => child.endReason());
  await children.stop(child);
  expect(child.endReason()).toContain("SIGKILL");
  await children.stopAll();
});

test("a process that ends at once is told with its last words", async () => {
  const children = new Children();
  const child = children.start(nodeScript(`console.error("no such flag"); process.exit(2)`));
  const why = waitForPort(await freePort(), START_MS, () => child.endReason());
  await expect(why).rejects.toThrow(/script ended \(2\): no such flag/);
});

test("a program that is not there is told as such", async () => {
  const children = new Children();
  const child = children.start({ name: "ghost", program: "/no/such/program", args: [], cpu: null });
  while (child.endReason() === null) await sleep(1);
  expect(child.endReason()).toContain("ghost did not start");
});

test("what is started after others were stopped does not outlive the run either", async () => {
  const port = await freePort();
  const args = ["-e", `require("net").createServer().listen(${port})`];
  const script = `
    import { Children } from ${JSON.stringify(import.meta.resolve("./child.ts"))};
    import { waitForPort } from ${JSON.stringify(import.meta.resolve("./port.ts"))};
    const args = ${JSON.stringify(args)};
    const plan = { name: "late", program: process.execPath, args, cpu: null };
    const children = new Children();
    children.start(plan);
    await children.stopAll();
    const late = children.start(plan);
    await waitForPort(${port}, ${START_MS}, () => late.endReason());
    process.exit();`;
  execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  await expect.poll(() => waitForPort(port, 50, () => null).catch(String)).toContain("nothing");
});
