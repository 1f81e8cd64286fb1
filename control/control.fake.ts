/** What control's tests start from: control in this process, a clock by hand, proxies that report. */
import { onTestFinished } from "vitest";
import type { Clock } from "../core/clock.ts";
import type { HopBatch, HopRecord } from "../core/hop-record.ts";
import type { Observation } from "../core/observation.ts";
import type { ProxyStatus } from "../core/proxy-status.ts";
import { readControlConfig } from "./config.ts";
import { CONTROL_LIMITS, type ControlLimits } from "./model/limits.ts";
import { type Control, createControl } from "./server.ts";

/** A clock that stands until it is moved. */
export class FakeClock implements Clock {
  #nowMs = 1_000_000;

  nowMs(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

/** The limits with some of them smaller, so that a test can reach them. */
export function limitsWith(smaller: Partial<ControlLimits>): ControlLimits {
  return { ...CONTROL_LIMITS, ...smaller };
}

/** How a test's control differs from the default: in memory, on a free port, silent. */
export interface TestControlOptions {
  readonly limits?: Partial<ControlLimits>;
  readonly data?: string;
  readonly clock?: Clock;
}

/** Control in this process; it stops with the test. */
export async function startControl(options: TestControlOptions = {}): Promise<Control> {
  const flags = { listen: "127.0.0.1:0", data: options.data ?? ":memory:", "log-level": "silent" };
  const config = readControlConfig(flags, {});
  if (!config.ok) throw new Error(config.error);
  const limits = limitsWith(options.limits ?? {});
  const control = await createControl({ ...config.value, limits }, options.clock);
  onTestFinished(() => control.close());
  return control;
}

/** An answer, its body read as JSON where there is one. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects to be there
  readonly body: any;
}

/** Calls the API without a socket. */
export async function call(
  control: Control,
  method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE",
  url: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const answer = await control.app.inject({
    method,
    url,
    headers: {
      host: "127.0.0.1:7070",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const isJson = String(answer.headers["content-type"]).includes("json");
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: isJson ? JSON.parse(answer.body) : answer.body,
  };
}

/** The status of a baseline proxy that has applied a revision. */
export function statusOf(status: Partial<ProxyStatus>): ProxyStatus {
  return {
    workloads: ["shop/cart"],
    mode: "inbound",
    sandbox: null,
    listen: "127.0.0.1:8110",
    admin: null,
    version: "test",
    leaseMs: 15_000,
    applied: [null],
    rejected: null,
    endpoints: {},
    lastSeen: {},
    counters: {},
    leaving: false,
    ...status,
  };
}

/** When the requests of tests began: after any control did, by whatever clock. */
const RECORDED_MS = 4_000_000_000_000;

/** A hop record of a request tagged `jane-42!` at the baseline of shop/cart. */
export function recordOf(record: Partial<HopRecord>): HopRecord {
  return {
    v: 1,
    root: "00000000000000aa",
    hop: "0000000000000001",
    parent: null,
    timeMs: RECORDED_MS,
    caller: "127.0.0.1",
    workload: "shop/cart",
    proxy: "cart-1",
    mode: "inbound",
    sandbox: null,
    tag: "jane-42!",
    key: "jane-42",
    outcome: "fork",
    reason: "fork",
    revision: "e.1",
    endpoint: "127.0.0.1:9002",
    traceId: null,
    protocol: "http/1.1",
    status: 200,
    requestBytes: 0,
    responseBytes: 2,
    ttfbMs: 1,
    totalMs: 2,
    attempt: 1,
    closedBy: null,
    fault: null,
    ...record,
  };
}

/** An untagged request at shop/pricing, made while recordOf's was under way. */
export function observationOf(observation: Partial<Observation>): Observation {
  return {
    v: 1,
    kind: "observation",
    state: "absent",
    timeMs: RECORDED_MS,
    totalMs: 1,
    workload: "shop/pricing",
    proxy: "pricing-1",
    sandbox: null,
    caller: "127.0.0.1",
    method: "GET",
    client: "axios/1.7.4",
    traceId: null,
    root: null,
    parent: null,
    hop: null,
    ...observation,
  };
}

/** A batch as a proxy posts it. */
export function batchText(
  batch: Partial<HopBatch["batch"]>,
  records: readonly HopRecord[],
): string {
  const head = { batch: { proxy: "cart-1", flush: null, dropped: {}, ...batch } };
  return [head, ...records].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Posts a batch. */
export function postHops(
  control: Control,
  batch: Partial<HopBatch["batch"]>,
  records: readonly HopRecord[],
): Promise<Answer> {
  const type = { "content-type": "application/x-ndjson" };
  return call(control, "POST", "/v1/hops", batchText(batch, records), type);
}

/** A sandbox of one fork, as a client writes it. */
export const JANE = {
  forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:9002"] }],
  routingKey: "jane-42",
};
