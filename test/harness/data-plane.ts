import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../core/clock.ts";
import { type OnBug, throwAgain } from "../../core/invariant.ts";
import { Ticker } from "../../core/ticker.ts";
import type { TableDocument } from "../../core/watch-events.ts";
import { type ProxyConfig, readProxyConfig } from "../../proxy/config.ts";
import { carrierSet, type ExchangeContext } from "../../proxy/exchange/context.ts";
import type { ExchangeSink, FinishedExchange } from "../../proxy/exchange/record.ts";
import { Way } from "../../proxy/exchange/way.ts";
import { DEFAULT_LIMITS, type Limits } from "../../proxy/limits.ts";
import type { Interception } from "../../proxy/listener/interception.ts";
import { Listener } from "../../proxy/listener/listener.ts";
import { HOP_MEMBER, RUN_MEMBER } from "../../proxy/routing/baggage.ts";
import { callsOf } from "../../proxy/routing/callees.ts";
import { parseTable, type RoutingTable, workloadTable } from "../../proxy/routing/table.ts";
import { EndpointChoice } from "../../proxy/upstream/endpoint-choice.ts";
import { UpstreamPool } from "../../proxy/upstream/pool.ts";

/** What is kept of a finished exchange: what it reads is only there during the call. */
export type Recorded = Pick<
  FinishedExchange,
  "attempt" | "closedBy" | "endpoint" | "fault" | "method" | "status" | "tagText" | "target"
> & {
  readonly outcome: string;
  readonly reason: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
};

/** The data plane without control, admin and telemetry, open to a test that looks inside. */
export interface DataPlane {
  readonly port: number;
  readonly listener: Listener;
  readonly pool: UpstreamPool;
  readonly ticker: Ticker;
  readonly context: ExchangeContext;
  /** Every finished exchange, in the order in which they ended. */
  readonly recorded: readonly Recorded[];
  /** Puts another table in place, as sides.ts does. */
  useTable(document: TableDocument): void;
}

/** What a test says of the data plane that it wants. */
export interface DataPlaneWish {
  readonly baseline: string;
  readonly table?: TableDocument;
  readonly flags?: Readonly<Record<string, string>>;
  readonly limits?: Partial<Limits>;
  /** Who is told of finished exchanges, beside the test. */
  readonly sinks?: readonly ExchangeSink[];
  /** The clock of all deadlines but those of a drain; the machine's by default. */
  readonly clock?: Clock;
  /** Told of bugs; they end the test by default. */
  readonly onBug?: OnBug;
  readonly onLateFault?: ExchangeContext["onLateFault"];
  /** Stands for the kernel that redirects connections; none does by default. */
  readonly interception?: Interception;
}

/** Starts the data plane on a free port; it stops with the test. */
export async function startDataPlane(wish: DataPlaneWish): Promise<DataPlane> {
  const config = readProxyConfig(
    {
      listen: "127.0.0.1:0",
      ...(wish.flags?.["mode"] === "outbound" ? {} : { upstream: wish.baseline }),
      workload: "shop/cart",
      table: "none.json",
      ...wish.flags,
    },
    {},
  );
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const limits: Limits = { ...DEFAULT_LIMITS, drainAcceptMs: 0, drainMs: 200, ...wish.limits };
  const clock = wish.clock ?? systemClock;
  const ticker = new Ticker(() => clock.nowMs(), 10);
  const onBug = wish.onBug ?? throwAgain;
  const pool = new UpstreamPool(limits, ticker, onBug);
  const recorded: Recorded[] = [];
  const sandbox = config.value.mode === "outbound" ? null : config.value.sandbox;
  const context: ExchangeContext = {
    ...config.value,
    sandbox,
    limits,
    upstream: wish.baseline,
    table: tableView(wish.table ?? NO_ROUTES),
    carriers: carrierSet(config.value.carriers, [HOP_MEMBER, RUN_MEMBER]),
    choice: new EndpointChoice(limits.endpointSkipMs),
    pool,
    clock,
    ticker,
    sinks: [{ finished: (exchange) => recorded.push(record(exchange)) }, ...(wish.sinks ?? [])],
    onBug,
    onLateFault: wish.onLateFault ?? (() => {}),
    outbound: outboundOf(config.value, wish.table ?? NO_ROUTES),
    affinity: null,
    way: new Way({ ...config.value, sandbox }),
    isDraining: false,
    overload: "none",
    ambiguousTags: 0,
  };
  const listener = new Listener(context, wish.interception ?? null);
  const { port } = await listener.listen(config.value.listen);
  onTestFinished(async () => {
    await listener.drain();
    pool.close();
    ticker.stop();
  });
  const useTable = (document: TableDocument): void => {
    context.table = tableView(document);
    const wanted = new Set([context.upstream]);
    for (const { route } of context.table.routes.values()) {
      for (const endpoint of route?.endpoints ?? []) wanted.add(endpoint);
    }
    pool.retain((endpoint) => wanted.has(endpoint));
  };
  return { port, listener, pool, ticker, context, recorded, useTable };
}

const NO_ROUTES: TableDocument = { revision: 1, routes: {}, known: [] };

function tableView(document: TableDocument) {
  return workloadTable(tableOf(document), "shop/cart");
}

function tableOf(document: TableDocument): RoutingTable {
  const table = parseTable(document, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  return table.value;
}

/** What a proxy of mode outbound knows of calls, as sides.ts makes it. */
function outboundOf(config: ProxyConfig, document: TableDocument): ExchangeContext["outbound"] {
  const { outbound, sandbox } = config;
  if (outbound === null) return null;
  const { clusterNetworks, stripsOutside } = outbound;
  const calls = callsOf(tableOf(document), outbound.callees, sandbox);
  return { clusterNetworks, stripsOutside, calls };
}

function record(exchange: FinishedExchange): Recorded {
  const { attempt, closedBy, decision, endpoint, fault, method, status, tagText, target } =
    exchange;
  const { outcome, reason } = decision;
  const { requestBytes, responseBytes } = exchange;
  return {
    attempt,
    closedBy,
    endpoint,
    fault,
    method,
    status,
    tagText,
    target,
    outcome,
    reason,
    requestBytes,
    responseBytes,
  };
}

/** A port whose every connection is the test's own; it stops with the test. */
export async function listenRaw(
  onSocket: (socket: Socket, connection: number) => void,
): Promise<string> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    onSocket(socket, connections++);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}
