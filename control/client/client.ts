/**
 * Calls the control API: the only code that does, outside the proxy.
 *
 * Every method rejects with ControlProblem where control answered with a failure, and with
 * ControlUnreachable where it did not answer.
 */
import { Agent, type Dispatcher, request } from "undici";
import { type SseEvent, SseReader } from "../../core/sse.ts";
import type { TableDocument } from "../../core/watch-events.ts";
import type { DryRunDocument } from "../schema/dry-run.ts";
import type { ExplainBodyDocument, ExplanationDocument } from "../schema/explain.ts";
import type { TraceDocument } from "../schema/hop.ts";
import type { Page } from "../schema/page.ts";
import type { ProbeBodyDocument, ProbeDocument } from "../schema/probe.ts";
import type { ProblemDocument } from "../schema/problem.ts";
import type { ProxyDocument, WorkloadDocument } from "../schema/proxy.ts";
import type { RouteGroupBodyDocument, RouteGroupDocument } from "../schema/route-group.ts";
import type {
  RunBodyDocument,
  RunDocument,
  VerdictBodyDocument,
  VerdictDocument,
} from "../schema/run.ts";
import type { SandboxBodyDocument, SandboxDocument } from "../schema/sandbox.ts";

/** How control is reached. */
export interface ControlClientOptions {
  /** Such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** For one answer, in milliseconds; a wait adds its own time. 10 s where absent. */
  readonly timeoutMs?: number;
}

/** What a write may depend on. */
export interface WriteOptions {
  /** Only if the resource has this ETag (`status.etag`). */
  readonly ifMatch?: string;
  /** Only if it does not exist yet. */
  readonly ifAbsent?: boolean;
}

/** Which part of a list. */
export interface ListOptions {
  readonly labelSelector?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** How long to wait for readiness. */
export interface GetOptions {
  /** Such as `10s`; the answer is the resource as it is then, ready or not. */
  readonly waitReady?: string;
}

/** Control answered with a failure; `problem.code` says which (control/error.ts). */
export class ControlProblem extends Error {
  override readonly name = "ControlProblem";
  readonly problem: ProblemDocument;

  constructor(problem: ProblemDocument) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

/** Control did not answer: not there, gone in the middle, too slow, or something else answered. */
export class ControlUnreachable extends Error {
  override readonly name = "ControlUnreachable";
  readonly url: string;

  constructor(url: string, why: string, cause?: unknown) {
    super(`control at ${url} does not answer: ${why}`, { cause });
    this.url = url;
  }
}

/** Longest answer that is read, in characters: a page of 500 sandboxes with all they may have. */
const ANSWER_CHARS_MAX = 64 * 1024 * 1024;

interface Call {
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Added to the time-out, in milliseconds. */
  readonly extraMs?: number;
}

export class ControlClient {
  readonly url: string;
  readonly #timeoutMs: number;
  readonly #agent: Agent;

  constructor(options: ControlClientOptions) {
    this.url = options.url.replace(/\/+$/, "");
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#agent = new Agent({ connect: { timeout: this.#timeoutMs } });
  }

  /** Creates or replaces a sandbox. */
  putSandbox(
    name: string,
    body: SandboxBodyDocument,
    options: WriteOptions = {},
  ): Promise<SandboxDocument> {
    return this.#put(sandboxPath(name), body, options);
  }

  /** Changes parts of a sandbox: a JSON merge patch (RFC 7396). */
  patchSandbox(name: string, patch: object, options: WriteOptions = {}): Promise<SandboxDocument> {
    return this.#patch(sandboxPath(name), patch, options);
  }

  /** Says what a PUT would change, without it. */
  dryRunSandbox(name: string, body: SandboxBodyDocument): Promise<DryRunDocument> {
    return this.#json({
      method: "PUT",
      path: sandboxPath(name),
      query: { dryRun: true },
      body,
    });
  }

  getSandbox(name: string, options: GetOptions = {}): Promise<SandboxDocument> {
    return this.#get(sandboxPath(name), options);
  }

  /** One page; `next` is the cursor of the one after it. */
  listSandboxes(options: ListOptions = {}): Promise<Page<SandboxDocument>> {
    return this.#json({ method: "GET", path: "/v1/sandboxes", query: { ...options } });
  }

  /** Deletes a sandbox; done as well where there is none. */
  async deleteSandbox(name: string, options: WriteOptions = {}): Promise<void> {
    await this.#text({ method: "DELETE", path: sandboxPath(name), headers: conditions(options) });
  }

  /** Creates or replaces a route group. */
  putRouteGroup(
    name: string,
    body: RouteGroupBodyDocument,
    options: WriteOptions = {},
  ): Promise<RouteGroupDocument> {
    return this.#put(routeGroupPath(name), body, options);
  }

  /** Changes parts of a route group: a JSON merge patch (RFC 7396). */
  patchRouteGroup(
    name: string,
    patch: object,
    options: WriteOptions = {},
  ): Promise<RouteGroupDocument> {
    return this.#patch(routeGroupPath(name), patch, options);
  }

  /** Says what a PUT would change, without it. */
  dryRunRouteGroup(name: string, body: RouteGroupBodyDocument): Promise<DryRunDocument> {
    return this.#json({
      method: "PUT",
      path: routeGroupPath(name),
      query: { dryRun: true },
      body,
    });
  }

  getRouteGroup(name: string, options: GetOptions = {}): Promise<RouteGroupDocument> {
    return this.#get(routeGroupPath(name), options);
  }

  /** One page; `next` is the cursor of the one after it. */
  listRouteGroups(options: ListOptions = {}): Promise<Page<RouteGroupDocument>> {
    return this.#json({ method: "GET", path: "/v1/route-groups", query: { ...options } });
  }

  /** Deletes a route group; done as well where there is none. */
  async deleteRouteGroup(name: string, options: WriteOptions = {}): Promise<void> {
    const path = routeGroupPath(name);
    await this.#text({ method: "DELETE", path, headers: conditions(options) });
  }

  /** One page of the workloads that proxies stand at or sandboxes fork. */
  listWorkloads(options: Omit<ListOptions, "labelSelector"> = {}): Promise<Page<WorkloadDocument>> {
    return this.#json({ method: "GET", path: "/v1/workloads", query: { ...options } });
  }

  /** One page of the proxies, silent ones included. */
  listProxies(options: Omit<ListOptions, "labelSelector"> = {}): Promise<Page<ProxyDocument>> {
    return this.#json({ method: "GET", path: "/v1/proxies", query: { ...options } });
  }

  /** The compiled routing table of one workload (`namespace/name`), as `--table` takes it. */
  getRoutes(workload: string): Promise<TableDocument> {
    const path = `/v1/routes/${workload.split("/").map(encodeURIComponent).join("/")}`;
    return this.#json({ method: "GET", path });
  }

  /** Asks where a request would go, by the proxy's own rules. */
  explain(body: ExplainBodyDocument): Promise<ExplanationDocument> {
    return this.#json({ method: "POST", path: "/v1/explain", body });
  }

  /** Has control send a tagged request and say what it met. */
  probe(body: ProbeBodyDocument): Promise<ProbeDocument> {
    return this.#json({ method: "POST", path: "/v1/probes", body, extraMs: 65_000 });
  }

  /** The hops of one request, by its root (`forklane-trace`) or its trace id. */
  getTrace(id: string): Promise<TraceDocument> {
    return this.#json({ method: "GET", path: `/v1/traces/${encodeURIComponent(id)}` });
  }

  /** Announces a run; proxies observe from then on. */
  createRun(body: RunBodyDocument): Promise<RunDocument> {
    return this.#json({ method: "POST", path: "/v1/runs", body });
  }

  /** Ends a run, and answers what control makes of its own records. */
  judgeRun(id: string, body: VerdictBodyDocument = {}): Promise<VerdictDocument> {
    return this.#json({ method: "POST", path: `/v1/runs/${encodeURIComponent(id)}/verdict`, body });
  }

  /** Tells whether control is up and has its state. */
  async isReady(): Promise<boolean> {
    try {
      await this.#text({ method: "GET", path: "/readyz" });
      return true;
    } catch (error) {
      if (error instanceof ControlProblem || error instanceof ControlUnreachable) return false;
      throw error;
    }
  }

  /** Resources as they change, until `signal` aborts or control ends the stream. */
  events(signal: AbortSignal): AsyncGenerator<SseEvent, void> {
    return this.#stream("/v1/events", signal);
  }

  /** One sandbox's exchanges as proxies record them. */
  exchanges(name: string, signal: AbortSignal): AsyncGenerator<SseEvent, void> {
    return this.#stream(`${sandboxPath(name)}/exchanges`, signal);
  }

  /** Ends its connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #put<T>(path: string, body: unknown, options: WriteOptions): Promise<T> {
    return this.#json({ method: "PUT", path, body, headers: conditions(options) });
  }

  #patch<T>(path: string, patch: object, options: WriteOptions): Promise<T> {
    const headers = { ...conditions(options), "content-type": "application/merge-patch+json" };
    return this.#json({ method: "PATCH", path, body: patch, headers });
  }

  #get<T>(path: string, options: GetOptions): Promise<T> {
    if (options.waitReady === undefined) return this.#json({ method: "GET", path });
    const query = { wait: "ready", timeout: options.waitReady };
    return this.#json({ method: "GET", path, query, extraMs: 65_000 });
  }

  async #json<T>(call: Call): Promise<T> {
    const text = await this.#text(call);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new ControlUnreachable(this.url, "its answer is no JSON; is it control?", error);
    }
  }

  async #text(call: Call): Promise<string> {
    try {
      const answer = await request(this.url + pathOf(call), this.#optionsOf(call));
      const text = await readText(answer.body);
      if (answer.statusCode < 300) return text;
      throw new ControlProblem(problemIn(text) ?? unknownProblem(answer.statusCode));
    } catch (error) {
      throw error instanceof ControlProblem ? error : this.#unreachable(error);
    }
  }

  #optionsOf(call: Call): Omit<Dispatcher.RequestOptions, "origin" | "path"> {
    const timeoutMs = this.#timeoutMs + (call.extraMs ?? 0);
    return {
      dispatcher: this.#agent,
      method: call.method,
      headers: {
        accept: "application/json",
        ...(call.body === undefined ? {} : { "content-type": "application/json" }),
        ...call.headers,
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    } as Omit<Dispatcher.RequestOptions, "origin" | "path">;
  }

  async *#stream(path: string, signal: AbortSignal): AsyncGenerator<SseEvent, void> {
    const reader = new SseReader();
    const decoder = new TextDecoder();
    try {
      const answer = await request(this.url + path, {
        dispatcher: this.#agent,
        headers: { accept: "text/event-stream" },
        headersTimeout: this.#timeoutMs,
        bodyTimeout: 0,
        signal,
      });
      if (answer.statusCode !== 200) {
        const text = await readText(answer.body);
        throw new ControlProblem(problemIn(text) ?? unknownProblem(answer.statusCode));
      }
      for await (const chunk of answer.body) {
        const events = reader.read(decoder.decode(chunk as Buffer, { stream: true }));
        if (!events.ok) throw new Error(events.error);
        yield* events.value;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof ControlProblem ? error : this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): ControlUnreachable {
    const code = (error as { code?: unknown }).code;
    const why = typeof code === "string" ? code : String((error as Error).message);
    return new ControlUnreachable(this.url, why, error);
  }
}

function sandboxPath(name: string): string {
  return `/v1/sandboxes/${encodeURIComponent(name)}`;
}

function routeGroupPath(name: string): string {
  return `/v1/route-groups/${encodeURIComponent(name)}`;
}

function conditions(options: WriteOptions): Record<string, string> {
  return {
    ...(options.ifMatch === undefined ? {} : { "if-match": `"${options.ifMatch}"` }),
    ...(options.ifAbsent === true ? { "if-none-match": "*" } : {}),
  };
}

function pathOf(call: Call): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? call.path : `${call.path}?${query}`;
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_CHARS_MAX) {
      throw new Error(`its answer is longer than ${ANSWER_CHARS_MAX} characters`);
    }
  }
  return text + decoder.decode();
}

function problemIn(text: string): ProblemDocument | null {
  try {
    const value = JSON.parse(text) as Partial<ProblemDocument> | null;
    return typeof value?.code === "string" ? (value as ProblemDocument) : null;
  } catch {
    return null;
  }
}

/** For an answer that is not control's: of something between, or of another program. */
function unknownProblem(status: number): ProblemDocument {
  return {
    type: "about:blank",
    title: "something else than control answered",
    status,
    detail: `status ${status} without a problem document`,
    code: "not-control",
    fix: "see that the URL is control's",
  };
}
