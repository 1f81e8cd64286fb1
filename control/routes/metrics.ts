import type { FastifyReply, FastifyRequest } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ControlContext } from "./context.ts";

/** What control counts, for `/metrics` (Prometheus). */
export class ControlMetrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<"method" | "route" | "status">;
  readonly #errors: Counter<"code">;

  constructor(context: ControlContext) {
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: "forklane_control_request_seconds",
      help: "Time of API requests, streams and waits left out",
      labelNames: ["method", "route", "status"],
      buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5],
      registers: [this.#registry],
    });
    this.#errors = new Counter({
      name: "forklane_control_errors_total",
      help: "Answers that were failures, by code",
      labelNames: ["code"],
      registers: [this.#registry],
    });
    for (const [name, help, value] of gaugesOf(context)) this.#gauge(name, help, value);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  requestDone(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? "none";
    const status = String(reply.statusCode);
    this.#requests.observe({ method: request.method, route, status }, reply.elapsedTime / 1_000);
  }

  failed(code: string): void {
    this.#errors.inc({ code });
  }

  #gauge(name: string, help: string, value: () => number): void {
    const registers = [this.#registry];
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }
}

type GaugeRow = readonly [name: string, help: string, value: () => number];

function gaugesOf(context: ControlContext): readonly GaugeRow[] {
  const { live, watchers, proxies, evidence, feed } = context;
  return [
    ["forklane_control_keys", "Live routing keys", () => live.tables.keyCount],
    ["forklane_control_version", "Version of the tables", () => live.version],
    ["forklane_control_watchers", "Proxies that watch", () => watchers.count],
    ["forklane_control_watchers_dropped", "Watchers dropped unread", () => watchers.droppedCount],
    ["forklane_control_proxies", "Proxies known", () => proxies.count],
    ["forklane_control_hop_records", "Hop records held", () => evidence.recordCount],
    ["forklane_control_event_streams", "Readers of events", () => feed.count],
  ];
}
