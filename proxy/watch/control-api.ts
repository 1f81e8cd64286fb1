import { readFile } from "node:fs/promises";
import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { err, ok, type Result } from "../../core/result.ts";
import { PROTOCOL_HEADER, WATCH_PROTOCOL } from "../../core/watch-events.ts";

/**
 * Speaks HTTP to control, over `node:http`: a fetch library would cost more memory than the proxy.
 *
 * Before: subscribe.ts, report.ts. After: control. Not on the request path.
 */

/**
 * Node's own, without its ES module: that one reads every export, `WebSocket` among them, and so
 * loads undici, 7 MB of private memory.
 */
const http = process.getBuiltinModule("node:http");

/** From the start of a POST to the end of its answer. */
const POST_TIMEOUT_MS = 5_000;

/** From the start of a watch to the head of its answer. */
const STREAM_HEAD_TIMEOUT_MS = 5_000;

/** Longest token file: a token is a line. */
const TOKEN_BYTES_MAX = 16 * 1024;

/** Why control did not answer as hoped. */
export interface ControlFault {
  /** Status of the answer; 0 if there was none. */
  readonly status: number;
  readonly why: string;
}

/** Where control is, and how to be let in. */
export interface ControlApiOptions {
  /** Base URL without a slash at the end. */
  readonly control: string;
  /** Read anew for each connection, so that a token may be replaced while the proxy runs. */
  readonly tokenFile: string | null;
}

/** The connections of one proxy to control. */
export class ControlApi {
  readonly #options: ControlApiOptions;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  #secureAgent: Agent | null = null;

  constructor(options: ControlApiOptions) {
    this.#options = options;
  }

  /** Sends a body; success is a 2xx. */
  async post(path: string, contentType: string, body: string): Promise<Result<null, ControlFault>> {
    const headers = { "content-type": contentType, "content-length": Buffer.byteLength(body) };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), POST_TIMEOUT_MS);
    const answer = await this.#exchange("POST", path, headers, body, late.signal, true);
    const result = answer.ok ? await expectSuccess(answer.value) : answer;
    clearTimeout(timer);
    return result;
  }

  /** Opens the event stream; the response is yet to be read. */
  async openStream(
    path: string,
    lastEventId: string | null,
    stop: AbortSignal,
  ): Promise<Result<IncomingMessage, ControlFault>> {
    const headers: OutgoingHttpHeaders = {
      accept: "text/event-stream",
      [PROTOCOL_HEADER]: String(WATCH_PROTOCOL),
    };
    if (lastEventId !== null) headers["last-event-id"] = lastEventId;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), STREAM_HEAD_TIMEOUT_MS);
    const signal = AbortSignal.any([stop, late.signal]);
    const answer = await this.#exchange("GET", path, headers, null, signal, false);
    clearTimeout(timer);
    if (!answer.ok) return answer;
    const fault = checkStreamHead(answer.value);
    if (fault === null) return answer;
    answer.value.destroy();
    return err(fault);
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
    this.#secureAgent?.destroy();
  }

  async #exchange(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body: string | null,
    signal: AbortSignal,
    keepsAlive: boolean,
  ): Promise<Result<IncomingMessage, ControlFault>> {
    const token = await this.#readToken();
    if (!token.ok) return token;
    if (token.value !== null) headers["authorization"] = `Bearer ${token.value}`;
    const { request, agent } = this.#transport(keepsAlive);
    const url = `${this.#options.control}${path}`;
    return await new Promise((resolve) => {
      const fail = (error: Error) => resolve(err({ status: 0, why: describeError(error) }));
      let outgoing: ClientRequest;
      try {
        outgoing = request(url, { method, headers, signal, agent });
      } catch (error) {
        // A token with bytes that no header may hold.
        fail(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      outgoing.once("response", (response) => {
        // From now on an error ends the response; whoever reads it sees "close".
        outgoing.on("error", () => {});
        response.on("error", () => {});
        resolve(ok(response));
      });
      outgoing.once("error", fail);
      outgoing.end(body ?? undefined);
    });
  }

  async #readToken(): Promise<Result<string | null, ControlFault>> {
    const file = this.#options.tokenFile;
    if (file === null) return ok(null);
    try {
      const text = await readFile(file, "latin1");
      // Empty: somebody is writing it at this moment, or forgot to.
      if (text.trim() === "") return err({ status: 0, why: `the token file ${file} is empty` });
      if (text.length <= TOKEN_BYTES_MAX) return ok(text.trim());
      return err({
        status: 0,
        why: `the token file ${file} is longer than ${TOKEN_BYTES_MAX} bytes`,
      });
    } catch (error) {
      return err({ status: 0, why: `cannot read the token file: ${describeError(error)}` });
    }
  }

  #transport(keepsAlive: boolean): { request: typeof http.request; agent: Agent | false } {
    if (!this.#options.control.startsWith("https:")) {
      return { request: http.request, agent: keepsAlive && this.#agent };
    }
    const https = process.getBuiltinModule("node:https");
    this.#secureAgent ??= new https.Agent({ keepAlive: true, maxSockets: 2 });
    return { request: https.request, agent: keepsAlive && this.#secureAgent };
  }
}

function expectSuccess(response: IncomingMessage): Promise<Result<null, ControlFault>> {
  const status = response.statusCode ?? 0;
  return new Promise((resolve) => {
    response.resume();
    response.once("close", () => {
      if (!response.complete) resolve(err({ status: 0, why: "control closed the connection" }));
      else if (status >= 200 && status < 300) resolve(ok(null));
      else resolve(err({ status, why: `control answered ${status}` }));
    });
  });
}

function checkStreamHead(response: IncomingMessage): ControlFault | null {
  const status = response.statusCode ?? 0;
  if (status !== 200) return { status, why: `control answered ${status} to the watch` };
  const protocol = response.headers[PROTOCOL_HEADER];
  if (protocol !== String(WATCH_PROTOCOL)) {
    const spoken = protocol === undefined ? "none" : `"${protocol}"`;
    return { status, why: `control speaks watch protocol ${spoken}, not ${WATCH_PROTOCOL}` };
  }
  const type = response.headers["content-type"] ?? "";
  if (/^text\/event-stream\s*(;|$)/i.test(type)) return null;
  return { status, why: `control answered the watch with "${type}", not with an event stream` };
}

/** What went wrong, without the stack: `connect ECONNREFUSED 127.0.0.1:7070`. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError" || error.name === "TimeoutError") return "no answer in time";
  // node:net tries several addresses of a name and says so with an empty message.
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map((each) => describeError(each)).join(", ");
  }
  return error.message;
}
