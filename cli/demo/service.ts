/**
 * One service of the demo shop, as an ordinary team would write it: node:http, keep-alive towards
 * its callees, and nothing that knows of Forklane.
 *
 * The one thing it does for routing is what any service has to do: the header `baggage` of a
 * request goes along with the calls that it causes, and so does `traceparent` where there is one;
 * unless one of its clients is broken on purpose (broken-client.ts).
 */
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { type Address, formatAddress } from "../../core/address.ts";
import { ASYNC_DELAY_MS, type BrokenClient, brokenHeaders } from "./broken-client.ts";
import { SHOP, type ShopAnswer, type ShopRow, type ShopService, workloadOf } from "./shop.ts";

/** How to run one service. */
export interface ServiceOptions {
  readonly service: ShopService;
  readonly listen: Address;
  /** `baseline`, or the name of the change. */
  readonly version: string;
  /** Where its callees are reached. */
  readonly callees: Readonly<Partial<Record<ShopService, Address>>>;
  /** The one client of it that loses the tag; null or absent: none does. */
  readonly broken?: BrokenClient | null;
}

/** A service that runs. */
export interface RunningService {
  readonly address: Address;
  stop(): Promise<void>;
}

/** Longest wait for a callee's whole answer, in milliseconds: far more than a loopback call takes. */
const CALL_TIMEOUT_MS = 3_000;

/** Longest answer of a callee, in characters: ours have a few hundred. */
const ANSWER_CHARS_MAX = 64 * 1024;

/** Connections to one callee: as many as the demo's own load ever needs. */
const CALLEE_SOCKETS_MAX = 64;

type OutgoingHeaders = Readonly<Record<string, string>>;

/** A callee that did not answer 200 with an object. */
class CalleeError extends Error {
  override readonly name = "CalleeError";
}

/** Starts a service; rejects when it cannot listen. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const agent = new Agent({ keepAlive: true, maxSockets: CALLEE_SOCKETS_MAX });
  const server = createServer((incoming, response) => {
    void answer(options, agent, incoming, response);
  });
  await listen(server, options.listen);
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: options.listen.host, port },
    stop: () => stop(server, agent),
  };
}

async function answer(
  options: ServiceOptions,
  agent: Agent,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  incoming.resume();
  const row = SHOP[options.service];
  const identity = { servedBy: workloadOf(options.service), version: options.version };
  if (incoming.url !== row.path) {
    send(response, 404, { ...identity, failed: `there is only ${row.path}` });
    return;
  }
  try {
    const answered = new Promise<void>((resolve) => response.once("finish", resolve));
    const answers = await callAll(options, agent, row, contextOf(incoming), answered);
    send(response, 200, { ...identity, ...row.says(options.version, answers), ...answers });
  } catch (error) {
    send(response, 502, { ...identity, failed: error instanceof Error ? error.message : "" });
  }
}

async function callAll(
  options: ServiceOptions,
  agent: Agent,
  row: ShopRow,
  context: OutgoingHeaders,
  answered: Promise<void>,
): Promise<Partial<Record<ShopService, ShopAnswer>>> {
  const broken = options.broken ?? null;
  const answers = await Promise.all(
    row.callees.map(async (callee) => {
      const address = options.callees[callee];
      if (address === undefined) throw new CalleeError(`${callee}: no address`);
      if (broken?.callee !== callee) {
        return [[callee, await call(callee, address, agent, context)] as const];
      }
      const headers = brokenHeaders(broken, context);
      if (broken.variant !== "async") {
        return [[callee, await call(callee, address, agent, headers)] as const];
      }
      const later = () => call(callee, address, agent, headers).catch(() => undefined);
      void answered.then(() => setTimeout(later, ASYNC_DELAY_MS));
      return [];
    }),
  );
  return Object.fromEntries(answers.flat());
}

/** What goes along with every call that a request causes. */
function contextOf({ headers }: IncomingMessage): OutgoingHeaders {
  const { baggage, traceparent } = headers;
  return {
    ...(baggage === undefined ? {} : { baggage: String(baggage) }),
    ...(traceparent === undefined ? {} : { traceparent: String(traceparent) }),
  };
}

function call(
  callee: ShopService,
  address: Address,
  agent: Agent,
  headers: OutgoingHeaders,
): Promise<ShopAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new CalleeError(`${callee} at ${formatAddress(address)}: ${why}`));
    const outgoing = request({ ...address, path: SHOP[callee].path, agent, headers }, (response) =>
      readAnswer(response).then(resolve, (error: Error) => fail(error.message)),
    );
    const late = setTimeout(() => {
      fail("no answer in time");
      outgoing.destroy();
    }, CALL_TIMEOUT_MS);
    outgoing.on("error", (error) => fail(error.message));
    outgoing.once("close", () => clearTimeout(late));
    outgoing.end();
  });
}

async function readAnswer(response: IncomingMessage): Promise<ShopAnswer> {
  let text = "";
  response.setEncoding("utf8");
  for await (const piece of response) {
    text += piece;
    if (text.length > ANSWER_CHARS_MAX) throw new CalleeError("its answer is too long");
  }
  if (response.statusCode !== 200) {
    const fault = response.headers["forklane-fault"];
    throw new CalleeError(
      `${response.statusCode}${fault ? ` ${fault}` : ""} ${text.slice(0, 200)}`,
    );
  }
  return JSON.parse(text) as ShopAnswer;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function listen(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address.port, address.host, resolve);
  });
}

/** Ends once the requests under way are answered. */
function stop(server: Server, agent: Agent): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      agent.destroy();
      resolve();
    });
  });
}
