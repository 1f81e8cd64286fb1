import { type Address, formatAddress } from "../core/address.ts";
import { systemClock } from "../core/clock.ts";
import { Ticker } from "../core/ticker.ts";
import { Admin } from "./admin/admin.ts";
import type { ProxyConfig } from "./config.ts";
import { carrierSet, type ExchangeContext } from "./exchange/context.ts";
import { Listener } from "./listener/listener.ts";
import { HOP_MEMBER, RUN_MEMBER } from "./routing/baggage.ts";
import { type RoutingTable, unknownTable, workloadTable } from "./routing/table.ts";
import { startTelemetry } from "./telemetry/telemetry.ts";
import { EndpointChoice } from "./upstream/endpoint-choice.ts";
import { UpstreamPool } from "./upstream/pool.ts";
import { startTableSource } from "./watch/table-source.ts";
import type { WatchLog } from "./watch/watch.ts";

/** A proxy that takes traffic. */
export interface RunningProxy {
  /** Where, with the port that was really bound. */
  readonly listen: Address;
  readonly admin: Address | null;
  /** Stops as Listener.drain says, tells control, writes what is held; resolves when all is closed. */
  drain(): Promise<void>;
}

/** What the caller may choose beside the configuration. */
export interface ProxyOptions {
  /** Where to say what an operator should know; nowhere by default. */
  readonly log?: WatchLog;
  /** Whether to wait for the first table (at most 5 s); true by default. */
  readonly waitForTable?: boolean;
}

/**
 * THE TABLE OF CONTENTS: the stages of the proxy, wired from the inside out, started from the outside.
 *
 * Before: main.ts. After: listener/listener.ts.
 * Rejects with a ConfigError for a setting that cannot work, or the system's error of a bind.
 */
export async function createProxy(
  config: ProxyConfig,
  options: ProxyOptions = {},
): Promise<RunningProxy> {
  const clock = systemClock;
  const ticker = new Ticker(clock.nowMs);
  const pool = new UpstreamPool(config.limits, ticker);
  const telemetry = await startTelemetry(config);
  const context: ExchangeContext = {
    ...config,
    upstream: formatAddress(config.upstream),
    table: workloadTable(unknownTable([config.workload]), config.workload),
    carriers: carrierSet(config.carriers, [HOP_MEMBER, RUN_MEMBER]),
    choice: new EndpointChoice(config.limits.endpointSkipMs),
    pool,
    clock,
    ticker,
    sinks: telemetry.sinks,
    isDraining: false,
    ambiguousTags: 0,
  };
  const listener = new Listener(context);
  const listen = await listener.listen(config.listen);
  const adminAddress = config.admin === null ? null : formatAddress(config.admin);
  const source = startTableSource(config, {
    listen: formatAddress(listen),
    admin: adminAddress,
    clock,
    log: options.log ?? SILENT,
    hops: telemetry.hops,
    lastSeen: () => telemetry.lastSeen.byKey(),
    counters: () => telemetry.metrics.counters(),
    onTable: (table) => useTable(context, table),
  });
  telemetry.readings = () => ({
    ...source.readings(),
    tagAmbiguous: context.ambiguousTags,
    connectionsOpen: listener.connections,
    connectionLimitHits: listener.refusedConnections,
  });
  const admin =
    config.admin === null ? null : newAdmin(config, config.admin, context, telemetry, source);
  const stop = async (): Promise<void> => {
    pool.close();
    ticker.stop();
    await source.stop();
    await telemetry.stop();
    await admin?.stop();
  };
  try {
    const boundAdmin = (await admin?.start()) ?? null;
    const first = source.start();
    if (options.waitForTable !== false) await first;
    else first.catch(() => undefined);
    return {
      listen,
      admin: boundAdmin,
      async drain(): Promise<void> {
        await listener.drain();
        await stop();
      },
    };
  } catch (error) {
    listener.close();
    await stop();
    throw error;
  }
}

/** From now on by this table; exchanges in progress keep the one that they began with. */
function useTable(context: ExchangeContext, table: RoutingTable): void {
  context.table = workloadTable(table, context.workload);
  const wanted = new Set([context.upstream]);
  for (const { route } of context.table.routes.values()) {
    for (const endpoint of route?.endpoints ?? []) wanted.add(endpoint);
  }
  context.pool.retain((endpoint) => wanted.has(endpoint));
}

function newAdmin(
  config: ProxyConfig,
  listen: Address,
  context: ExchangeContext,
  telemetry: Awaited<ReturnType<typeof startTelemetry>>,
  source: ReturnType<typeof startTableSource>,
): Admin {
  return new Admin({
    config,
    listen,
    table: () => context.table,
    notReady: () => (context.isDraining ? "draining" : source.notReady()),
    metrics: () => telemetry.metrics.exposition(),
    facts: () => source.facts(),
  });
}

const SILENT: WatchLog = { info: () => undefined, warn: () => undefined };
