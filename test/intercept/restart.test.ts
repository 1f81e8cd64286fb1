import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Host, Network, type Running } from "./network.ts";

/** The proxy dies without a word under load, and comes back: what callers see of it, counted. */
let network: Network;
let caller: Host;
let cart: Host;
let fork: Host;

beforeAll(async () => {
  network = Network.create();
  caller = network.addHost("caller");
  cart = network.addHost("cart");
  fork = network.addHost("fork");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

const WORKERS = 12;
const KILLS = 3;
/** Requests that have to be answered before the next thing happens. */
const FLOWING = 100;

interface Seen {
  readonly began: number;
  readonly ended: number;
  readonly kind: string;
  readonly outcome: string;
}

/** The time of the clock that the load uses, too: microseconds. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function readLoad(load: Running): Seen[] {
  const lines = load.output().split("\n").slice(0, -1);
  return lines.flatMap((line) => {
    const [, began, ended, kind = "", outcome = ""] = /^(\d+) (\d+) (\w+) (.*)$/.exec(line) ?? [];
    return began === undefined
      ? []
      : [{ began: Number(began), ended: Number(ended), kind, outcome }];
  });
}

function isAnswer({ outcome }: Seen): boolean {
  return /^\d/.test(outcome);
}

async function startProxy(): Promise<Running> {
  const table = join(network.folder, "table.json");
  const endpoints = [`${fork.ipv4}:8080`];
  const routes = { "jane-42": { sandbox: "jane-42", endpoints, onUnavailable: "fail" } };
  writeFileSync(table, JSON.stringify({ revision: 1, routes, known: [] }), { mode: 0o644 });
  return await cart.startProxy([
    ...["--listen", "[::]:19471", "--intercept", "--table", table],
    ...["--trust-tags-from", "198.18.0.0/16", "--forwarded-for", "append"],
  ]);
}

/** Waits until so many requests that began after `sinceMicros` have been answered. */
async function untilFlowing(load: Running, sinceMicros: number): Promise<void> {
  const answered = () =>
    readLoad(load).filter((seen) => isAnswer(seen) && seen.began > sinceMicros).length;
  await expect.poll(answered, { timeout: 30_000 }).toBeGreaterThan(FLOWING);
}

test("fail closed: calls fail between kill and restart only, by their connection, and never go astray", async () => {
  await fork.startService("fork", "::", [8080]);
  await cart.startService("baseline", "::", [8080]);
  let proxy = await startProxy();
  cart.must([process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"]);
  const script = join(import.meta.dirname, "load-main.ts");
  const words = [process.execPath, script, `http://${cart.ipv4}:8080/`, String(WORKERS)];
  const load = await caller.start(words, / 200 /);
  const outages: { from: number; to: number }[] = [];
  for (let i = 0; i < KILLS; i++) {
    await untilFlowing(load, outages.at(-1)?.to ?? 0);
    const from = now();
    await proxy.stop("SIGKILL");
    proxy = await startProxy();
    outages.push({ from, to: now() });
  }
  await untilFlowing(load, outages.at(-1)?.to ?? 0);
  load.child.kill("SIGTERM");
  await expect.poll(() => load.output(), { timeout: 30_000 }).toContain("end\n");
  const seen = readLoad(load);
  const ANSWERS = new Set([
    `untagged 200 baseline ${caller.ipv4}`,
    `tagged 200 fork ${caller.ipv4}`,
    "unknown 424",
  ]);
  // Every answer is that of the right place, and passed the proxy.
  const astray = seen.filter((it) => isAnswer(it) && !ANSWERS.has(`${it.kind} ${it.outcome}`));
  expect(astray).toEqual([]);
  const failures = seen.filter((it) => !isAnswer(it));
  const outside = failures.filter(
    ({ began, ended }) => !outages.some(({ from, to }) => ended >= from && began <= to),
  );
  expect(outside).toEqual([]);
  for (const { from, to } of outages) {
    const here = failures.filter(({ began, ended }) => ended >= from && began <= to);
    expect(here.length).toBeGreaterThan(0);
  }
  expect(
    failures.filter(({ outcome }) => !/^(?:refused|cut (?:ECONNRESET|EPIPE))$/.test(outcome)),
  ).toEqual([]);
  // The bound: a request that was carried out and not answered is one of those that were under way,
  // at most one for each connection that was open. No request is carried out twice.
  const carriedOut = servedBy(cart) + servedBy(fork);
  const answered = seen.filter(({ outcome }) => outcome.startsWith("200")).length;
  expect(carriedOut).toBeGreaterThanOrEqual(answered);
  expect(carriedOut).toBeLessThanOrEqual(answered + KILLS * WORKERS);
});

/** Requests that the service on a host has had, before this one; asked there, past the proxy. */
function servedBy(host: Host): number {
  return JSON.parse(host.must(["curl", "-sS", "http://127.0.0.1:8080/"])).served - 1;
}
