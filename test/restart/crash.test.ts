/** A worker that crashes loses its own connections, and nothing else. */
import { expect, onTestFinished, test } from "vitest";
import { Connection } from "../harness/client.ts";
import type { ProxyProcess } from "../harness/proxy-process.ts";
import { ask } from "./callers.ts";
import { isRunning, ownersOf, START, startGroup, untilReplaced, workersOf } from "./proxy-group.ts";

const CONNECTIONS = 40;

async function open(port: number): Promise<Connection> {
  const connection = await Connection.open(port);
  onTestFinished(() => connection.close());
  return connection;
}

/** Idle connections of the one and of the other: whoever is free takes them, so it may need some more. */
async function openUntilBothHave({ port }: ProxyProcess, one: number, other: number) {
  const connections: Connection[] = [];
  for (let i = 0; i < 50; i++) {
    const more = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port)));
    for (const connection of more) expect(await ask(connection)).toBe("200 keep-alive");
    connections.push(...more);
    const owners = await ownersOf(port, [one, other]);
    expect(owners.size).toBe(connections.length);
    const ofOwner = (pid: number) =>
      connections.filter(({ socket }) => owners.get(socket.localPort ?? 0) === pid);
    const [ofOne, ofOther] = [ofOwner(one), ofOwner(other)];
    if (ofOne.length > 5 && ofOther.length > 5) return [ofOne, ofOther] as const;
  }
  throw new Error("one worker took every connection");
}

test("a worker that is killed takes its own connections with it, and is replaced", async () => {
  const proxy = await startGroup({});
  const [victim = 0, other = 0] = await workersOf(proxy);
  const [lost, kept] = await openUntilBothHave(proxy, victim, other);

  process.kill(victim, "SIGKILL");
  for (const connection of lost) await connection.until(() => false);
  for (const connection of kept) expect(await ask(connection)).toBe("200 keep-alive");
  expect(lost.every(({ closed }) => closed !== "open")).toBe(true);
  const now = await untilReplaced(proxy, [victim]);
  expect(now).toContain(other);
  expect(await ask(await open(proxy.port))).toBe("200 keep-alive");
  expect(await proxy.metric("forklane_worker_crashes_total")).toBe(1);
});

test("a worker that crashes again and again is replaced each time, while the other serves", async () => {
  const proxy = await startGroup({});
  const [, other = 0] = await workersOf(proxy);
  for (let crashes = 1; crashes <= 4; crashes++) {
    const victim = (await workersOf(proxy)).find((pid) => pid !== other) ?? 0;
    process.kill(victim, "SIGKILL");
    expect(await untilReplaced(proxy, [victim])).toContain(other);
    expect(await proxy.metric("forklane_worker_crashes_total")).toBe(crashes);
  }
  expect(await ask(await open(proxy.port))).toBe("200 keep-alive");
});

test("what waits to be accepted while every worker crashes is served by those that follow", async () => {
  const proxy = await startGroup({});
  const former = await workersOf(proxy);
  // Stopped, they accept nothing: the kernel does, and holds it.
  for (const pid of former) process.kill(pid, "SIGSTOP");
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => open(proxy.port)),
  );
  const { timeout } = START;
  const answers = connections.map((it) => ask(it, undefined, timeout).catch(String));
  for (const pid of former) process.kill(pid, "SIGKILL");
  expect(new Set(await Promise.all(answers))).toEqual(new Set(["200 keep-alive"]));
  await untilReplaced(proxy, former);
});

test("no worker outlives its supervisor, whose address is free at once", async () => {
  const proxy = await startGroup({ limits: { drainMs: 60_000 } });
  const workers = await workersOf(proxy);
  const idle = await open(proxy.port);
  expect(await ask(idle)).toBe("200 keep-alive");
  proxy.signal("SIGKILL");
  await proxy.exit;
  const isRefused = () => Connection.open(proxy.port).then((it) => it.close(), String);
  await expect.poll(isRefused, START).toContain("ECONNREFUSED");
  // It finishes what it has, as in any stop.
  expect(await ask(idle)).toBe("200 close");
  for (const pid of workers) await expect.poll(() => isRunning(pid), START).toBe(false);
});
