import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Host, Network, type Running } from "./network.ts";
import { NARROW_BYTES, putBehindLine, putBehindNarrowPath, reappear, vanish } from "./paths.ts";

/** Lines that lose, delay, cut packets or all of them, and ends that close one direction only. */
let network: Network;
let caller: Host;
let cart: Host;
let fork: Host;

beforeEach(() => {
  network = Network.create();
  caller = network.addHost("caller");
  cart = network.addHost("cart");
  fork = network.addHost("fork");
});
afterEach(async () => await network?.remove());

const TAG = ["-H", "baggage: sandbox=jane-42"];
const UPLOAD = Buffer.alloc(300_000, "to be carried whole ");
const DIGEST = createHash("sha256").update(UPLOAD).digest("hex");
const LARGE = createHash("sha256")
  .update(Buffer.concat(Array.from({ length: 8 }, () => Buffer.alloc(64 * 1024, "forklane "))))
  .digest("hex");

/** The service and its fork, the proxy with short limits, and rules. */
async function start(limits: readonly string[] = []): Promise<{ service: Running; fork: Running }> {
  const script = join(import.meta.dirname, "raw-service-main.ts");
  const service = await cart.start([process.execPath, script, "baseline", "8080"], "ready");
  const forked = await fork.start([process.execPath, script, "fork", "8080"], "ready");
  const table = join(network.folder, "table.json");
  const endpoints = [`${fork.ipv4}:8080`];
  const routes = { "jane-42": { sandbox: "jane-42", endpoints, onUnavailable: "fail" } };
  writeFileSync(table, JSON.stringify({ revision: 1, routes, known: [] }), { mode: 0o644 });
  await cart.startProxy([
    ...["--listen", "[::]:19471", "--admin", "127.0.0.1:19470", "--intercept", "--table", table],
    ...[
      "--trust-tags-from",
      "198.18.0.0/16,fc00::/7",
      ...limits.flatMap((limit) => ["--limit", limit]),
    ],
  ]);
  cart.must([process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"]);
  return { service, fork: forked };
}

interface Answer {
  readonly exit: number | null;
  readonly status: string;
  readonly fault: string;
  readonly body: string;
}

/** Asks from the caller's host without stopping this process; `exit` is curl's. */
async function curl(path: string, more: readonly string[] = [], host = cart.ipv4): Promise<Answer> {
  const format = "\n%{http_code} %header{forklane-fault}";
  const url = `http://${host}:8080${path}`;
  const words = ["curl", "-gsS", "-m", "25", "-w", format, ...more, url];
  const { status: exit, stdout } = await caller.runBeside(words);
  const [, body = "", status = "", fault = ""] = /^([\s\S]*)\n(\d+) (.*)$/.exec(stdout) ?? [];
  return { exit, status, fault: fault.split(";")[0] ?? "", body };
}

/** What the proxy says of itself; asked on its own host, whatever the network does. */
function metric(name: string): number {
  const text = cart.must(["curl", "-sS", "http://127.0.0.1:19470/metrics"]);
  const line = text.split("\n").find((it) => it.startsWith(`${name} `));
  return Number(line?.split(" ")[1] ?? 0);
}

function faults(code: string): number {
  return metric(`forklane_faults_total{code="${code}"}`);
}

/** Nothing of anybody is kept: no connection of callers, none towards services. */
async function expectNothingKept(): Promise<void> {
  await expect.poll(() => metric("forklane_downstream_connections"), SOON).toBe(0);
  await expect.poll(() => openTo(8080), SOON).toEqual([]);
}

const SOON = { timeout: 20_000 };

/** Connections of the proxy's user that are open on its host, but those of the listener. */
function openTo(port: number): string[] {
  const lines = cart.must(["ss", "-Htn", "state", "established", `( dport = :${port} )`]);
  return lines.split("\n").filter((line) => line !== "");
}

describe("a line that loses and delays packets", () => {
  test("bodies of both directions arrive whole, at the baseline and at the fork", async () => {
    await putBehindLine(network, caller, { delayMs: 15, lossPercent: 3, seed: 1 });
    await start();
    const file = join(network.folder, "upload");
    writeFileSync(file, UPLOAD);
    const upload = ["--data-binary", `@${file}`, "-H", "Expect:"];
    const asks = Array.from({ length: 4 }, () => [
      curl("/digest", upload),
      curl("/digest", [...TAG, ...upload]),
      curl("/large"),
      curl("/large", TAG),
    ]).flat();
    for (const [i, answer] of (await Promise.all(asks)).entries()) {
      expect([answer.exit, answer.status]).toEqual([0, "200"]);
      const name = i % 2 === 0 ? "baseline" : "fork";
      if (i % 4 < 2) expect(JSON.parse(answer.body)).toEqual({ name, digest: DIGEST });
      else expect(createHash("sha256").update(answer.body).digest("hex")).toBe(LARGE);
    }
    await expectNothingKept();
  });

  test("a fork behind a slow line is reached, and one whose packets are all lost is down", async () => {
    await putBehindLine(network, fork, { delayMs: 60, lossPercent: 0, seed: 1 });
    await start(["connectMs=600"]);
    expect(await curl("/", TAG)).toMatchObject({ status: "200", body: '{"name":"fork"}' });
    vanish(fork);
    // What is idle still would hide it.
    await expect.poll(() => openTo(8080), SOON).toEqual([]);
    expect(await curl("/", TAG)).toMatchObject({ status: "503", fault: "fork-down" });
    expect(await curl("/")).toMatchObject({ status: "200", body: '{"name":"baseline"}' });
  });
});

test.each(["ipv4", "ipv6"] as const)(
  "a path of 1,280 bytes in the middle carries large bodies both ways, by %s",
  async (version) => {
    putBehindNarrowPath(network, caller, cart);
    await start();
    const host = version === "ipv4" ? cart.ipv4 : `[${cart.ipv6}]`;
    const file = join(network.folder, "upload");
    writeFileSync(file, UPLOAD);
    const upload = ["--data-binary", `@${file}`, "-H", "Expect:"];
    for (const fields of [[], TAG]) {
      // Whoever was told of the path asks for smaller packets itself, so each begins without knowing.
      forgetPaths();
      const got = await curl("/large", fields, host);
      expect(createHash("sha256").update(got.body).digest("hex")).toBe(LARGE);
      // What the router said of the proxy's packets found its way through the rules.
      expect(pathFrom(cart, caller[version])).toContain(`mtu ${NARROW_BYTES}`);
      forgetPaths();
      const sent = await curl("/digest", [...fields, ...upload], host);
      expect([sent.exit, JSON.parse(sent.body).digest]).toEqual([0, DIGEST]);
      expect(pathFrom(caller, cart[version])).toContain(`mtu ${NARROW_BYTES}`);
    }
  },
);

function forgetPaths(): void {
  for (const host of [caller, cart]) {
    for (const version of ["-4", "-6"]) host.must(["ip", version, "route", "flush", "cache"]);
  }
}

/** What a host knows of the path to an address. */
function pathFrom(from: Host, to: string): string {
  return from.must(["ip", "route", "get", to]);
}

describe("a peer that vanishes without a word", () => {
  test("the fork, before its answer: 504, and nothing is kept", async () => {
    const { fork: service } = await start(["responseMs=1000"]);
    const asked = curl("/silent", TAG);
    await expect.poll(() => service.output(), SOON).toContain("began /silent");
    vanish(fork);
    expect(await asked).toMatchObject({ status: "504", fault: "upstream-timeout" });
    await expectNothingKept();
  });

  test("the fork, in the middle of its answer: the caller's connection is cut, and nothing is kept", async () => {
    await start(["bodyIdleMs=1000"]);
    const asked = await caller.start([...ENDLESS, ...TAG, endless()], "< HTTP/1.1 200");
    vanish(fork);
    await expect.poll(() => asked.child.exitCode, SOON).not.toBe(null);
    expect([PARTIAL, RESET]).toContain(asked.child.exitCode);
    await expect.poll(() => faults("upstream-timeout"), SOON).toBe(1);
    await expectNothingKept();
  });

  test("either of them, while the other waits without a limit: the kernel's probes find it", async () => {
    const { service, fork: forked } = await start(["peerProbeMs=1000"]);
    const waits = caller.start(
      ["curl", "-sv", "-m", "120", `http://${cart.ipv4}:8080/silent`],
      "> ",
    );
    await expect.poll(() => service.output(), SOON).toContain("began /silent");
    const other = network.addHost("other");
    const url = `http://${cart.ipv4}:8080/silent`;
    const asked = other.runBeside(["curl", "-sSi", "-m", "25", ...TAG, url]);
    await expect.poll(() => forked.output(), SOON).toContain("began /silent");
    vanish(fork);
    vanish(caller);
    expect((await asked).stdout).toMatch(/^HTTP\/1.1 502 [\s\S]*forklane-fault: upstream-closed/);
    await expect.poll(() => service.output(), { timeout: 40_000 }).toContain("closed /silent");
    await expectNothingKept();
    await waits;
  });

  test("callers, in the middle of theirs: each is given up, and so is what was asked for them", async () => {
    const { service } = await start(["bodyIdleMs=1000"]);
    const words = [...ENDLESS, endless()];
    const asks = Array.from({ length: 20 }, () => caller.start(words, "< HTTP/1.1 200"));
    await Promise.all(asks);
    vanish(caller);
    await expect.poll(() => faults("body-timeout"), SOON).toBe(asks.length);
    await expectNothingKept();
    await expect.poll(() => service.output().match(/closed/g)?.length, SOON).toBe(asks.length);
    reappear(caller);
    expect((await curl("/")).body).toBe('{"name":"baseline"}');
  });
});

/** Reads an answer that never ends, and says when it has begun. */
const ENDLESS = ["curl", "-sv", "-m", "120", "-o", "/dev/null"];

function endless(): string {
  return `http://${cart.ipv4}:8080/endless`;
}

/** curl's words for a body that ended early, and for a connection that was reset. */
const PARTIAL = 18;
const RESET = 56;

describe("one direction that is closed before the other", () => {
  test("a caller that closes its own before the answer is whole has gone, as it is written", async () => {
    const { service } = await start();
    const script = `
import socket
s = socket.create_connection(("${cart.ipv4}", 8080))
s.sendall(b"GET /stall HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
seen = b""
while b"begin" not in seen: seen += s.recv(1000)
s.shutdown(socket.SHUT_WR)
try: print("then", s.recv(1000), flush=True)
except ConnectionResetError: print("then", b"", flush=True)
`;
    const { stdout, stderr } = await caller.runBeside(["python3", "-c", script]);
    expect(stdout || stderr).toBe("then b''\n");
    await expect.poll(() => service.output(), SOON).toContain("closed /stall");
    await expect.poll(() => faults("downstream-closed"), SOON).toBe(1);
    await expectNothingKept();
  });

  test("a service that closes its own at the end of a body has answered", async () => {
    const { service } = await start();
    expect(await curl("/until-close")).toMatchObject({ exit: 0, status: "200", body: "all of it" });
    await expect.poll(() => service.output(), SOON).toContain("closed /until-close");
    await expectNothingKept();
  });

  test("a service that closes its own in the middle of a body has not", async () => {
    await start();
    const { exit, body } = await curl("/short");
    expect([PARTIAL, RESET].includes(exit ?? 0)).toBe(true);
    expect(body).toBe("short");
    await expect.poll(() => faults("upstream-closed"), SOON).toBe(1);
    await expectNothingKept();
  });
});
