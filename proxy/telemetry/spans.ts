import type { Attributes, SpanContext, Tracer } from "@opentelemetry/api";
import type { OtlpConfig } from "../config.ts";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import type { FieldList } from "../message/field-list.ts";
import { pathOf } from "./access-log-line.ts";

/**
 * Sends a span for each exchange that the incoming trace flags as sampled, over OTLP/HTTP.
 *
 * Before: exchange/record.ts. After: the receiver of `OTEL_EXPORTER_OTLP_ENDPOINT`.
 * Invariants: nothing of OpenTelemetry is loaded unless an endpoint is configured (its SDK costs
 * 26 MB); the proxy never starts a trace and never changes `traceparent`: its span is a child of the
 * incoming one and has no children; no span holds a query, a cookie or a credential.
 * Hot path: one search for `traceparent`; the rest only for sampled traces, in batches.
 */

/** Methods that the semantic conventions know; anything else is `_OTHER`, which bounds the names. */
const METHODS = new Set("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY".split(" "));

/** How long a stop waits for the receiver, in milliseconds. */
const STOP_TIMEOUT_MS = 2_000;

/** Where spans go while the proxy runs. */
export interface Spans extends ExchangeSink {
  /** Sends what waits, for at most two seconds. */
  stop(): Promise<void>;
}

/** Loads the SDK and starts it; null, with nothing loaded, where OTLP is not configured. */
export async function startSpans(
  config: OtlpConfig | null,
  workload?: string,
): Promise<Spans | null> {
  if (config === null) return null;
  const [api, { NodeSDK }, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-node"),
    import("@opentelemetry/exporter-trace-otlp-http"),
  ]);
  const sdk = new NodeSDK({
    serviceName: config.serviceName,
    traceExporter: new OTLPTraceExporter({ url: tracesUrl(config.endpoint) }),
    autoDetectResources: false,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
    textMapPropagator: null,
  });
  sdk.start();
  return new SpanSink(api, api.trace.getTracer("forklane"), () => sdk.shutdown(), workload ?? null);
}

/** The traces path under a base URL (OTLP specification, "Endpoint URLs for OTLP/HTTP"). */
export function tracesUrl(endpoint: string): string {
  return `${endpoint.replace(/\/+$/, "")}/v1/traces`;
}

class SpanSink implements Spans {
  readonly #api: typeof import("@opentelemetry/api");
  readonly #tracer: Tracer;
  readonly #shutdown: () => Promise<void>;
  readonly #workload: string | null;

  constructor(
    api: typeof import("@opentelemetry/api"),
    tracer: Tracer,
    shutdown: () => Promise<void>,
    workload: string | null,
  ) {
    this.#api = api;
    this.#tracer = tracer;
    this.#shutdown = shutdown;
    this.#workload = workload;
  }

  finished(exchange: FinishedExchange): void {
    const parent = readSampledParent(exchange.fields);
    if (parent === null) return;
    const { trace, ROOT_CONTEXT, SpanKind, SpanStatusCode } = this.#api;
    const totalMs = exchange.endedAtMs - exchange.startedAtMs;
    const startMs = exchange.startEpochMs;
    const method = METHODS.has(exchange.method) ? exchange.method : "_OTHER";
    const span = this.#tracer.startSpan(
      method === "_OTHER" ? "HTTP" : method,
      {
        kind: SpanKind.SERVER,
        startTime: startMs,
        attributes: describe(exchange, method, this.#workload),
      },
      trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    if (errorType(exchange) !== null) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(startMs + totalMs);
  }

  async stop(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_TIMEOUT_MS);
    await Promise.race([this.#shutdown().catch(() => {}), late]);
    clearTimeout(timer);
  }
}

/** Names of the semantic conventions for HTTP server spans, and ours. */
function describe(exchange: FinishedExchange, method: string, workload: string | null): Attributes {
  const attributes: Attributes = {
    "http.request.method": method,
    "url.path": pathOf(exchange.target),
    "url.scheme": "http",
    "network.protocol.name": "http",
    "network.protocol.version": exchange.protocol === "h2" ? "2" : "1.1",
    "client.address": exchange.downstreamAddress,
    "forklane.decision": exchange.decision.outcome,
    "forklane.reason": exchange.decision.reason,
  };
  if (exchange.status !== 0) attributes["http.response.status_code"] = exchange.status;
  const host = readHost(exchange.fields);
  if (host !== null) attributes["server.address"] = host;
  const error = errorType(exchange);
  if (error !== null) attributes["error.type"] = error;
  if (exchange.decision.key !== null) attributes["forklane.key"] = exchange.decision.key;
  if (workload !== null) attributes["forklane.workload"] = workload;
  return attributes;
}

/** The code of the fault, or a status of 500 and above: a server span fails by its own side only. */
function errorType(exchange: FinishedExchange): string | null {
  if (exchange.fault !== null) return exchange.fault;
  return exchange.status >= 500 ? String(exchange.status) : null;
}

/** The host without its port; a longer one than a name may be was refused (http1/framing.ts). */
function readHost(fields: FieldList): string | null {
  const index = fields.find("host", 0);
  if (index < 0) return null;
  return fields.value(index).replace(/:\d*$/, "");
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 0x01;

/**
 * The span that the request belongs to, if its trace is sampled (W3C Trace Context, section 3.2).
 *
 * Two `traceparent` fields or a malformed one are no trace.
 */
export function readSampledParent(fields: FieldList): SpanContext | null {
  const index = fields.find("traceparent", 0);
  if (index < 0 || fields.find("traceparent", index + 1) >= 0) return null;
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(fields.value(index)) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (version === "00" && rest !== undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  const traceFlags = Number.parseInt(flags, 16);
  if ((traceFlags & SAMPLED) === 0) return null;
  return { traceId, spanId, traceFlags: SAMPLED, isRemote: true };
}
