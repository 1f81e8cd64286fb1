import { connect, type Socket } from "node:net";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import type { TableDocument } from "../../core/watch-events.ts";
import { type Arrival, bodyFor, startChaos } from "../harness/chaos-upstream.ts";
import { get } from "../harness/client.ts";
import { type DataPlane, startDataPlane } from "../harness/data-plane.ts";
import { Dice } from "../harness/dice.ts";
import { NOBODY } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/**
 * Callers and services that do anything, many at once, while tables change: whatever happens, the
 * invariants of routing hold, every exchange is recorded once, and nothing is left behind.
 *
 * The seed is that of the choices, not of the timing; FORKLANE_SOAK_SEED chooses another.
 */
const SEED = Number(process.env["FORKLANE_SOAK_SEED"] ?? 20_260_101);
const CALLERS = 40;
const CONNECTIONS_PER_CALLER = 30;

/** After so long an answer is not late but missing, in milliseconds; the limits are tenths of it. */
const ANSWER_MS = 10_000;

/** Turns of the event loop in which what came during a stall goes all its ways: caller, proxy, service. */
const LAST_TURNS = 20;

/** For what has to come in the end, in milliseconds. */
const PATIENCE = { timeout: 30_000 };

const LIMITS = {
  responseMs: 250,
  bodyIdleMs: 300,
  headTimeoutMs: 300,
  drainedBodyMs: 100,
  upstreamIdleMs: 200,
  upstreamConnectionsMax: 6,
  upstreamWaitingMax: 8,
  readBufferBytes: 4_096,
  bufferedBytesMax: 8_192,
  replayBodyBytesMax: 4_096,
};

const TAGS = ["none", "none", "a", "a!", "b", "b!", "b~a", "nobodys!"] as const;
type Kind = (typeof TAGS)[number];

/** Who a request of each kind may reach. */
const ALLOWED: Readonly<Record<Kind, RegExp>> = {
  none: /^baseline$/,
  a: /^(?:baseline|a-[12])$/,
  "a!": /^(?:baseline|a-[12])$/,
  b: /^(?:baseline|b)$/,
  "b!": /^(?:baseline|b)$/,
  "b~a": /^(?:baseline|a-[12]|b)$/,
  "nobodys!": /^$/,
};

/** What is wrong, as text; empty at the end. */
const wrongs: string[] = [];

/** What a caller asked for. */
interface Asked {
  readonly id: string;
  readonly method: string;
  readonly kind: Kind;
}

test(`the data plane holds what it promises (seed ${SEED})`, { timeout: 180_000 }, async () => {
  const arrivals: Arrival[] = [];
  const startOne = (name: string) => startChaos(name, SEED, (arrival) => arrivals.push(arrival));
  const [baseline, a1, a2, b] = [
    await startOne("baseline"),
    await startOne("a-1"),
    await startOne("a-2"),
    await startOne("b"),
  ];
  const tables = tablesOf(a1, a2, b);
  const plane = await startDataPlane({
    baseline,
    table: tables[0] as TableDocument,
    limits: LIMITS,
  });
  const asked: Asked[] = [];
  const answered = new Set<string>();
  const callers = Array.from({ length: CALLERS }, (_, i) => call(plane, i, asked, answered));
  const dice = Dice.of(SEED, "tables");
  const timer = setInterval(() => plane.useTable(dice.pick(tables)), 15);
  await Promise.all(callers);
  clearInterval(timer);

  await expect.poll(() => plane.listener.connections, PATIENCE).toBe(0);
  await expect.poll(() => plane.pool.connections, PATIENCE).toBe(0);
  // The pool leaves with the first tick at which nobody waits.
  await expect.poll(() => plane.ticker.size, PATIENCE).toBe(0);
  checkArrivals(plane, arrivals, asked);
  checkRecords(plane, arrivals, answered);
  expect(wrongs).toEqual([]);
  // Otherwise nothing was put to the test.
  expect(answered.size).toBeGreaterThan(300);
  expect(new Set(arrivals.map((it) => it.upstream))).toEqual(
    new Set(["baseline", "a-1", "a-2", "b"]),
  );
  await servesStill(plane);
});

function tablesOf(a1: string, a2: string, b: string): readonly TableDocument[] {
  const fork = (sandbox: string, endpoints: readonly string[], isLenient = false) => ({
    sandbox,
    endpoints,
    onUnavailable: isLenient ? ("baseline" as const) : ("fail" as const),
  });
  const routes: readonly TableDocument["routes"][] = [
    { a: fork("a", [a1, a2]), b: fork("b", [b]) },
    { a: fork("a", [a2]), b: fork("b", [NOBODY, b]) },
    { a: fork("a", [NOBODY, a1], true), b: fork("b", [NOBODY], true) },
    { a: fork("a", []), b: fork("b", [b], true) },
    { b: fork("b", [b]) },
    {},
  ].map((it) => Object.fromEntries(Object.entries(it).map(([key, route]) => [keyOf(key), route])));
  return routes.map((it, i) => ({
    revision: i + 1,
    routes: it ?? {},
    known: ["sandbox-a", "sandbox-b"],
  }));
}

/** Keys have three characters at least. */
function keyOf(name: string): string {
  return `sandbox-${name}`;
}

function tagText(kind: Kind): string {
  return kind.replace(/[ab](?=[~!]|$)/g, keyOf);
}

/** One caller: a connection after another, on each a few requests, cut off at any point. */
async function call(
  plane: DataPlane,
  index: number,
  asked: Asked[],
  answered: Set<string>,
): Promise<void> {
  for (let i = 0; i < CONNECTIONS_PER_CALLER; i++) {
    const dice = Dice.of(SEED, `caller ${index} ${i}`);
    const requests = Array.from({ length: 1 + dice.below(5) }, (_, n) => ({
      id: `${index}-${i}-${n}`,
      method: dice.pick(["GET", "GET", "POST", "PUT"]),
      kind: dice.pick(TAGS),
    }));
    asked.push(...requests);
    const socket = connect({ host: "127.0.0.1", port: plane.port, allowHalfOpen: dice.oneIn(2) });
    const reader = new Reader(socket, requests, answered);
    if (dice.oneIn(8)) reader.readLate(dice.below(2 * LIMITS.bodyIdleMs));
    await send(socket, dice, requests, reader);
    await reader.over(dice.oneIn(6) ? dice.below(30) : 2_500);
    if (dice.oneIn(2)) socket.destroy();
    else socket.resetAndDestroy();
  }
}

async function send(
  socket: Socket,
  dice: Dice,
  requests: readonly Asked[],
  reader: Reader,
): Promise<void> {
  const isPipelined = dice.oneIn(2);
  const cutsAt = dice.oneIn(5) ? dice.below(4_000) : Number.POSITIVE_INFINITY;
  let sent = 0;
  for (const [n, request] of requests.entries()) {
    const text = textOf(dice, request, n === requests.length - 1 && dice.oneIn(3));
    for (let at = 0; at < text.length; ) {
      const next = Math.min(text.length, at + (dice.oneIn(3) ? 1 + dice.below(30) : 16_384));
      if (socket.destroyed) return;
      socket.write(text.slice(at, next), "latin1");
      sent += next - at;
      at = next;
      if (sent > cutsAt) {
        const how = dice.below(3);
        if (how === 0) socket.end();
        else if (how === 1) socket.destroy();
        else socket.resetAndDestroy();
        return;
      }
      if (dice.oneIn(12)) await wait(dice.below(4));
      else if (dice.oneIn(60)) await wait(2 * LIMITS.bodyIdleMs);
    }
    if (!isPipelined) await reader.until(n + 1);
  }
  if (dice.oneIn(20)) socket.write("GARBAGE\r\n\r\n");
}

function textOf(dice: Dice, { id, method, kind }: Asked, isLast: boolean): string {
  const lines = [`${method} /${id} HTTP/1.1`, "Host: shop.test", `x-tag: ${kind}`];
  if (kind !== "none") lines.push(`baggage: x=1,sandbox=${tagText(kind)}`);
  if (isLast) lines.push("Connection: close");
  if (method === "GET") return `${lines.join("\r\n")}\r\n\r\n`;
  const body = id.repeat(dice.oneIn(6) ? 10_000 : dice.below(200));
  if (dice.oneIn(2))
    return `${lines.join("\r\n")}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const chunk = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
  return `${lines.join("\r\n")}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
}

/** Reads responses in the order of the requests, and tells each from every other. */
class Reader {
  readonly #socket: Socket;
  readonly #requests: readonly Asked[];
  readonly #answered: Set<string>;
  #text = "";
  #count = 0;
  #isClosed = false;
  readonly #wake: (() => void)[] = [];

  constructor(socket: Socket, requests: readonly Asked[], answered: Set<string>) {
    this.#socket = socket;
    this.#requests = requests;
    this.#answered = answered;
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      this.#text += bytes.toString("latin1");
      this.#takeAll();
      this.#tell();
    });
    const close = (): void => {
      this.#isClosed = true;
      this.#tell();
    };
    socket.on("end", close);
    socket.on("close", close);
  }

  /** Takes nothing for a while. */
  readLate(ms: number): void {
    this.#socket.pause();
    setTimeout(() => this.#socket.resume(), ms);
  }

  /** Waits until `count` responses are there, or no more can come. */
  async until(count: number): Promise<void> {
    const endMs = performance.now() + ANSWER_MS;
    const isDone = (): boolean => this.#count >= count || this.#isClosed;
    while (!isDone() && performance.now() < endMs) {
      await Promise.race([wait(50), new Promise<void>((resolve) => this.#wake.push(resolve))]);
    }
    // After a stall of the whole process time is over before what came meanwhile was read.
    for (let turns = 0; turns < LAST_TURNS && !isDone(); turns++) await turn();
    // In time the proxy answers everything here: a hang is a fault of ours.
    if (!isDone()) wrongs.push(`${this.#requests[count - 1]?.id}: no answer`);
  }

  /** Waits for all responses, at most `maxMs`. */
  async over(maxMs: number): Promise<void> {
    const endMs = performance.now() + maxMs;
    while (!this.#isClosed && this.#count < this.#requests.length && performance.now() < endMs) {
      await wait(5);
    }
  }

  #takeAll(): void {
    let isMore = true;
    while (isMore) isMore = this.#takeOne();
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #takeOne(): boolean {
    const headEnd = this.#text.indexOf("\r\n\r\n");
    if (headEnd < 0) return false;
    const head = this.#text.slice(0, headEnd + 2);
    const status = Number(head.slice(9, 12));
    if (status < 200) {
      this.#text = this.#text.slice(headEnd + 4);
      return true;
    }
    const rest = this.#text.slice(headEnd + 4);
    const length = /^content-length: *([0-9]+)/im.exec(head)?.[1];
    const whole = length === undefined ? unchunked(rest) : sized(rest, Number(length));
    if (whole === null) return false;
    this.#text = rest.slice(whole.length);
    this.#check(status, head, whole.body);
    this.#count++;
    return true;
  }

  #check(status: number, head: string, body: string): void {
    const request = this.#requests[this.#count];
    const fault = /^forklane-fault: (.*)\r$/m.exec(head)?.[1];
    if (request === undefined) {
      // Behind all requests stands what was none.
      if (fault === undefined) wrongs.push(`an answer to nothing: ${head}`);
      return;
    }
    const { id, kind } = request;
    // Of what was no request there is a record without a name.
    if (!/^head-(?:timeout|malformed)/.test(fault ?? "")) this.#answered.add(id);
    if (kind === "none" && /^forklane-(?:decision|trace)/im.test(head))
      wrongs.push(`${id}: ${head}`);
    if (fault !== undefined) return;
    const upstream = /^<[^@]+@([^>]+)>/.exec(body)?.[1] ?? "";
    if (!ALLOWED[kind].test(upstream)) wrongs.push(`${id} (${kind}) was answered by ${upstream}`);
    if (status !== 200 || body !== bodyFor(SEED, id, upstream)) {
      wrongs.push(`${id}: ${status}, and not its own body: ${body.slice(0, 60)}`);
    }
  }
}

interface Whole {
  readonly body: string;
  /** With framing. */
  readonly length: number;
}

function sized(text: string, length: number): Whole | null {
  return text.length < length ? null : { body: text.slice(0, length), length };
}

function unchunked(text: string): Whole | null {
  let body = "";
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) {
      const end = text.startsWith("\r\n", at) ? at - 2 : text.indexOf("\r\n\r\n", at);
      return end < 0 ? null : { body, length: end + 4 };
    }
    if (text.length < at + size + 2) return null;
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

/** No request reached whom it must not, or reached anybody more often than it may. */
function checkArrivals(
  plane: DataPlane,
  arrivals: readonly Arrival[],
  asked: readonly Asked[],
): void {
  const byId = new Map(asked.map((it) => [it.id, it]));
  const times = new Map<string, number>();
  for (const { id, upstream, tag, method, isMarked } of arrivals) {
    if (isMarked !== (tag !== "none")) wrongs.push(`${id} (${tag}) came marked: ${isMarked}`);
    const request = byId.get(id);
    if (request === undefined || request.kind !== tag || request.method !== method) {
      wrongs.push(`${upstream} got what nobody sent: ${method} ${id} (${tag})`);
    } else if (!ALLOWED[request.kind].test(upstream)) {
      wrongs.push(`${id} (${tag}) reached ${upstream}`);
    }
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  const attempts = new Map(plane.recorded.map((it) => [it.target.slice(1), it.attempt]));
  for (const [id, count] of times) {
    const max = byId.get(id)?.method === "POST" ? 1 : (attempts.get(id) ?? 1);
    if (count > max) wrongs.push(`${id} was sent ${count} times, recorded attempts: ${max}`);
  }
}

/** Every exchange that began is recorded, once. */
function checkRecords(
  plane: DataPlane,
  arrivals: readonly Arrival[],
  answered: ReadonlySet<string>,
): void {
  const times = new Map<string, number>();
  for (const { target } of plane.recorded) times.set(target, (times.get(target) ?? 0) + 1);
  for (const id of new Set([...answered, ...arrivals.map((it) => it.id)])) {
    if (times.get(`/${id}`) === undefined) wrongs.push(`${id} was not recorded`);
  }
  for (const [target, count] of times) {
    if (target !== "" && count > 1) wrongs.push(`${target} was recorded ${count} times`);
  }
}

/** The same proxy, asked for something ordinary. */
async function servesStill(plane: DataPlane): Promise<void> {
  const calm = await startUpstream(response("calm"));
  const routes = {
    "calm-1": { sandbox: "calm", endpoints: [calm.at], onUnavailable: "fail" as const },
  };
  plane.useTable({ revision: 99, routes, known: [] });
  for (let i = 0; i < 20; i++)
    expect((await get(plane.port, { tag: "calm-1!" })).body).toBe("calm");
}
