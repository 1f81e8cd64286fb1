import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { trace } from "@opentelemetry/api";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { decision, fieldList, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { readSampledParent, type Spans, startSpans, tracesUrl } from "./spans.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";

interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
}

interface ReceivedTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: ReceivedSpan["attributes"] };
    readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[];
  }[];
}

const received: { path: string | undefined; traces: ReceivedTraces }[] = [];
const receiver = http.createServer(async (request, response) => {
  const body = await buffer(request);
  const plain = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
  received.push({ path: request.url, traces: JSON.parse(plain.toString()) as ReceivedTraces });
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
});

let spans: Spans;

beforeAll(async () => {
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as AddressInfo;
  const config = { endpoint: `http://127.0.0.1:${port}`, serviceName: "cart-proxy" };
  const started = await startSpans(config, "shop/cart");
  if (started === null) throw new Error("spans did not start");
  spans = started;
});
afterAll(() => receiver.close());

function traced(flags: string, ...more: [string, string][]) {
  return fieldList([
    ["host", "cart:80"],
    ["traceparent", `00-${TRACE_ID}-${SPAN_ID}-${flags}`],
    ...more,
  ]);
}

function plainAttributes(span: { readonly attributes: ReceivedSpan["attributes"] }) {
  return Object.fromEntries(
    span.attributes.map(({ key, value }) => {
      const [plain] = Object.values(value);
      return [key, typeof plain === "string" && "intValue" in value ? Number(plain) : plain];
    }),
  );
}

describe("spans", () => {
  it("go to the receiver for sampled traces only, as children of the caller's span", async () => {
    spans.finished(untaggedExchange());
    spans.finished(taggedExchange({ fields: traced("00") }));
    spans.finished(taggedExchange({ fields: traced("01", ["cookie", "secret"]) }));
    const down = decision({ outcome: "refused", reason: "fork-down" });
    const refused = { decision: down, fault: "fork-down", status: 503, endpoint: null } as const;
    spans.finished(taggedExchange({ fields: traced("01"), method: "BREW", ...refused }));
    await spans.stop();

    expect(received.map(({ path }) => path)).toEqual(["/v1/traces"]);
    const [resourceSpans] = received[0]?.traces.resourceSpans ?? [];
    expect(plainAttributes(resourceSpans?.resource ?? { attributes: [] })).toMatchObject({
      "service.name": "cart-proxy",
    });
    const sent = resourceSpans?.scopeSpans.flatMap((scope) => scope.spans) ?? [];
    expect(sent).toHaveLength(2);
    const [ok, failed] = sent as [ReceivedSpan, ReceivedSpan];
    expect(ok).toMatchObject({ name: "GET", traceId: TRACE_ID, parentSpanId: SPAN_ID, kind: 2 });
    expect(BigInt(ok.endTimeUnixNano) - BigInt(ok.startTimeUnixNano)).toBe(4_500_000n);
    expect(plainAttributes(ok)).toEqual({
      "http.request.method": "GET",
      "http.response.status_code": 200,
      "url.path": "/items",
      "url.scheme": "http",
      "server.address": "cart",
      "client.address": "10.0.0.7",
      "network.protocol.name": "http",
      "network.protocol.version": "1.1",
      "forklane.decision": "fork",
      "forklane.reason": "fork",
      "forklane.key": "jane-42",
      "forklane.workload": "shop/cart",
    });
    expect(failed).toMatchObject({ name: "HTTP", status: { code: 2 } });
    expect(plainAttributes(failed)).toMatchObject({
      "http.request.method": "_OTHER",
      "error.type": "fork-down",
      "forklane.decision": "refused",
    });
  });

  it("hold up a stop for two seconds where the receiver does not answer", async () => {
    const silent = http.createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    onTestFinished(() => {
      silent.closeAllConnections();
      silent.close();
    });
    // Those of the tests before are this process's until then.
    trace.disable();
    const { port } = silent.address() as AddressInfo;
    const config = { endpoint: `http://127.0.0.1:${port}`, serviceName: "cart-proxy" };
    const started = await startSpans(config);
    started?.finished(taggedExchange({ fields: traced("01") }));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const asked = once(silent, "request");
    let isStopped = false;
    void started?.stop().then(() => {
      isStopped = true;
    });
    await asked;
    await vi.advanceTimersByTimeAsync(1_999);
    expect(isStopped).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isStopped).toBe(true);
  });

  it("need a well-formed traceparent, one of it, with the flag", () => {
    const parent = (...values: string[]) =>
      readSampledParent(fieldList(values.map((value) => ["traceparent", value] as const)));
    const good = `00-${TRACE_ID}-${SPAN_ID}-01`;
    expect(parent(good)).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID, isRemote: true });
    expect(parent(`cc-${TRACE_ID}-${SPAN_ID}-03-later`)).not.toBeNull();
    expect(parent(good, good)).toBeNull();
    expect(parent(`${good}-more`)).toBeNull();
    expect(parent(`ff-${TRACE_ID}-${SPAN_ID}-01`)).toBeNull();
    expect(parent(`00-${"0".repeat(32)}-${SPAN_ID}-01`)).toBeNull();
    expect(parent(`00-${TRACE_ID}-${"0".repeat(16)}-01`)).toBeNull();
    expect(parent()).toBeNull();
  });

  it("keep the path of the base URL", () => {
    expect(tracesUrl("http://otel:4318/tenant/")).toBe("http://otel:4318/tenant/v1/traces");
  });

  it("load nothing of OpenTelemetry where OTLP is off", async () => {
    const script = `
      import { registerHooks } from "node:module";
      const loaded = [];
      registerHooks({
        resolve(specifier, context, next) {
          const resolved = next(specifier, context);
          loaded.push(resolved.url);
          return resolved;
        },
      });
      const { startSpans } = await import(process.argv[1]);
      const started = await startSpans(null, "shop/cart");
      process.stdout.write(JSON.stringify({ started, loaded }));
    `;
    const module = new URL("spans.ts", import.meta.url).href;
    const words = ["--input-type=module", "--eval", script, module];
    const { stdout } = await promisify(execFile)(process.execPath, words);
    const { started, loaded } = JSON.parse(stdout) as { started: null; loaded: string[] };
    expect(started).toBeNull();
    expect(loaded).toContainEqual(expect.stringContaining("proxy/telemetry/spans.ts"));
    expect(loaded.filter((url) => url.includes("@opentelemetry"))).toEqual([]);
  });
});
