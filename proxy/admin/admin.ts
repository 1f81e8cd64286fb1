import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, BoundSocket, Socket } from "node:net";
import { isIP } from "node:net";
import type { Address } from "../../core/address.ts";
import type { ProxyConfig } from "../config.ts";
import type { Calls } from "../routing/callees.ts";
import type { WorkloadTable } from "../routing/table.ts";
import { explain } from "./explain.ts";

/**
 * Answers operators: alive, ready, metrics, configuration, and where a request would go.
 *
 * Before: proxy.ts. After: explain.ts, telemetry. Not on the request path; binds only where told.
 * Invariants: only a Host that is an address or localhost is answered, so that a web page cannot reach
 * it under a name of its own (DNS rebinding); no answer holds a secret; what is asked here costs traffic
 * little: one request for a connection, one text of metrics at a time.
 */

/** Not imported, for the reason in watch/control-api.ts: the ES module loads undici. */
const http = process.getBuiltinModule("node:http");

/** Longest body of a request: an explain has some headers. */
const BODY_BYTES_MAX = 64 * 1024;

/** Connections at a time: a scraper, probes, a person. */
const CONNECTIONS_MAX = 64;

/** From a connection's begin to its end: one request, and its answer. */
const CONNECTION_MS = 5_000;

/**
 * One request for a connection, which closes behind its answer: who sends many at once, and reads nothing,
 * would have as many answers made and kept, and traffic would wait for it.
 */
const REQUESTS_PER_CONNECTION_MAX = 1;

/** What admin shows. */
export interface AdminOptions {
  readonly config: ProxyConfig;
  /** Where to listen. */
  readonly listen: Address;
  /** A socket that is bound there already, and is admin's from now on; absent: bind one. */
  readonly socket?: BoundSocket | { readonly fd: number };
  /** The table in use. */
  table(): WorkloadTable;
  /** What is known of calls; null where none are taken. */
  calls?(): Calls | null;
  /** Null when traffic may come; else why not. */
  notReady(): string | null;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** More to show under `/config`: state of the table, its age. */
  facts?(): Readonly<Record<string, unknown>>;
}

/** A server of its own, for operators. */
export class Admin {
  readonly #options: AdminOptions;
  readonly #server: Server;
  /** The text of metrics while it is being made: those who ask meanwhile get the same. */
  #metrics: ReturnType<AdminOptions["metrics"]> | null = null;

  constructor(options: AdminOptions) {
    this.#options = options;
    this.#server = http.createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX;
    this.#server.on("connection", (socket: Socket) => {
      const late = setTimeout(() => socket.destroy(), CONNECTION_MS).unref();
      socket.once("close", () => clearTimeout(late));
    });
  }

  /** Binds, and says where; rejects with Node's error if it cannot. */
  async start(): Promise<Address> {
    const { host, port } = this.#options.listen;
    this.#server.listen(this.#options.socket ?? { host, port });
    await once(this.#server, "listening");
    return { host, port: (this.#server.address() as AddressInfo).port };
  }

  /** Closes at once, open connections too. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isPlainHost(request.headers.host)) {
      send(response, 421, "text/plain", "Host has to be an IP address or localhost\n");
      return;
    }
    const [path = "/"] = (request.url ?? "/").split("?", 1);
    const allowed = path === "/explain" ? "POST" : "GET";
    if (!PATHS.has(path)) return sendNotFound(response);
    if (request.method !== allowed && !(allowed === "GET" && request.method === "HEAD")) {
      response.setHeader("allow", allowed);
      send(response, 405, "text/plain", `${path} takes ${allowed}\n`);
      return;
    }
    await this.#answerPath(path, request, response);
  }

  async #answerPath(path: string, request: IncomingMessage, response: ServerResponse) {
    switch (path) {
      case "/healthz":
        return send(response, 200, "text/plain", "ok\n");
      case "/readyz":
        return this.#answerReady(response);
      case "/metrics": {
        const { contentType, text } = await this.#metricsOnce();
        return send(response, 200, contentType, text);
      }
      case "/config":
        return sendJson(response, 200, {
          ...showConfig(this.#options.config),
          ...this.#options.facts?.(),
        });
      default:
        return await this.#answerExplain(request, response);
    }
  }

  #metricsOnce(): ReturnType<AdminOptions["metrics"]> {
    this.#metrics ??= this.#options.metrics().finally(() => {
      this.#metrics = null;
    });
    return this.#metrics;
  }

  #answerReady(response: ServerResponse): void {
    const why = this.#options.notReady();
    if (why === null) send(response, 200, "text/plain", "ready\n");
    else send(response, 503, "text/plain", `not ready: ${why}\n`);
  }

  async #answerExplain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A web page can send text/plain without asking first, but not this.
    if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
      return sendProblem(response, 415, "the body has to be application/json");
    }
    const body = await readBody(request);
    if (body === null) return sendProblem(response, 413, `at most ${BODY_BYTES_MAX} bytes`);
    const { config } = this.#options;
    const calls = this.#options.calls?.() ?? null;
    const explained = explain(body, this.#options.table(), config, calls);
    if (explained.ok) sendJson(response, 200, explained.value);
    else sendProblem(response, 400, explained.error);
  }
}

const PATHS: ReadonlySet<string> = new Set([
  "/healthz",
  "/readyz",
  "/metrics",
  "/config",
  "/explain",
]);

/** Tells whether Host is an IP address or localhost, with or without a port. */
export function isPlainHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  const name = host.replace(/:\d{1,5}$/, "");
  if (name.toLowerCase() === "localhost") return true;
  const isBracketed = name.startsWith("[") && name.endsWith("]");
  return isBracketed ? isIP(name.slice(1, -1)) === 6 : isIP(name) === 4;
}

/** Null if it is longer than the limit. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** The configuration as it holds. The token is in a file, of which only the name is shown. */
function showConfig(config: ProxyConfig): Record<string, unknown> {
  const { outbound, trustTagsFrom } = config;
  return {
    ...config,
    trustTagsFrom: trustTagsFrom.text,
    outbound: outbound && {
      ...outbound,
      callees: Object.fromEntries(outbound.callees),
      clusterNetworks: outbound.clusterNetworks.text,
    },
  };
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    connection: "close",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, "application/json", `${JSON.stringify(body, null, 2)}\n`);
}

/** RFC 9457. */
function sendProblem(response: ServerResponse, status: number, detail: string): void {
  const text = `${JSON.stringify({ status, title: http.STATUS_CODES[status], detail })}\n`;
  send(response, status, "application/problem+json", text);
}

function sendNotFound(response: ServerResponse): void {
  send(response, 404, "text/plain", `there are ${[...PATHS].join(", ")}\n`);
}
