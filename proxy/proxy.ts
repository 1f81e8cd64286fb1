import { type Address, formatAddress } from "../core/address.ts";
import { systemClock } from "../core/clock.ts";
import type { OnBug } from "../core/invariant.ts";
import { Ticker } from "../core/ticker.ts";
import { Admin } from "./admin/admin.ts";
import type { ProxyConfig } from "./config.ts";
import { carrierSet } from "./exchange/context.ts";
import { Way } from "./exchange/way.ts";
import type { DrainOptions } from "./listener/listener.ts";
import { fitToOpenFiles } from "./listener/open-files.ts";
import { HOP_MEMBER, RUN_MEMBER } from "./routing/baggage.ts";
import { unknownTable, workloadTable } from "./routing/table.ts";
import { hasBothSides, type SharedContext, Sides } from "./sides.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { startTelemetry } from "./telemetry/telemetry.ts";
import { EndpointChoice } from "./upstream/endpoint-choice.ts";
import { UpstreamPool } from "./upstream/pool.ts";
import {
  startTableSource,
  type TableSource,
  type TableSourceOptions,
} from "./watch/table-source.ts";
import type { WatchLog } from "./watch/watch.ts";

/** A proxy that takes traffic. */
export interface RunningProxy {
  /** Where, with the port that was really bound. */
  readonly listen: Address;
  readonly admin: Address | null;
  /** Where it takes the calls of its service; null where it does not. */
  readonly outbound: Address | null;
  /** Stops as Listener.drain says, tells control, writes what is held; resolves when all is closed. */
  drain(options?: DrainOptions): Promise<void>;
}

/** What the caller may choose beside the configuration. */
export interface ProxyOptions {
  /** Where to say what an operator should know; nowhere by default. */
  readonly log?: WatchLog;
  /** Whether to wait for the first table (at most 5 s); true by default. */
  readonly waitForTable?: boolean;
  /** Resolves when it is to stop: a start does not wait for the table any more, and serves nobody. */
  readonly stop?: Promise<void>;
  /** Of a worker: what it shares with others. It has no admin of its own. */
  readonly worker?: WorkerParts;
}

/** What a worker is given in place of an address to bind and a way to control. */
export interface WorkerParts {
  /** A bound socket. */
  readonly fd: number;
  startSource(options: TableSourceOptions, metrics: Metrics): TableSource;
}

/**
 * THE TABLE OF CONTENTS: the stages of the proxy, wired from the inside out, started from the outside.
 *
 * Before: main.ts. After: sides.ts, listener/listener.ts.
 * Rejects with a ConfigError for a setting that cannot work, or the system's error of a bind.
 */
export async function createProxy(
  settings: ProxyConfig,
  options: ProxyOptions = {},
): Promise<RunningProxy> {
  const limits = fitToOpenFiles(settings.limits, undefined, hasBothSides(settings) ? 2 : 1);
  const config = { ...settings, limits };
  const clock = systemClock;
  const telemetry = await startTelemetry(config, clock);
  const onBug = bugCounter(telemetry.metrics, options.log ?? SILENT);
  const ticker = new Ticker(clock.nowMs, undefined, onBug);
  const pool = new UpstreamPool(config.limits, ticker, onBug);
  const shared: SharedContext = {
    ...config,
    upstream: formatAddress(config.upstream),
    table: workloadTable(unknownTable([config.workload]), config.workload),
    carriers: carrierSet(config.carriers, [HOP_MEMBER, RUN_MEMBER]),
    choice: new EndpointChoice(config.limits.endpointSkipMs),
    pool,
    clock,
    ticker,
    sinks: telemetry.sinks,
    onBug,
    onLateFault: (code) => telemetry.metrics.lateFault(code),
    way: new Way(config),
    isDraining: false,
    overload: "none",
    ambiguousTags: 0,
  };
  const sides = await Sides.create(config, shared);
  // Without a table every request would be the baseline's, also one that has a fork.
  if (options.waitForTable !== false) sides.hold();
  const { worker } = options;
  // Of a worker others take connections already: it does so once it has a table.
  const early = worker === undefined ? await sides.listen() : null;
  const { listen, outbound } = early ?? { listen: config.listen, outbound: null };
  const adminAddress = config.admin === null ? null : formatAddress(config.admin);
  const sourceOptions: TableSourceOptions = {
    listen: formatAddress(listen),
    admin: adminAddress,
    clock,
    log: options.log ?? SILENT,
    hops: telemetry.hops,
    observations: telemetry.observations,
    lastSeen: () => telemetry.lastSeen.byKey(),
    counters: () => telemetry.metrics.counters(),
    onTable: (table) => sides.useTable(table),
  };
  const source =
    worker?.startSource(sourceOptions, telemetry.metrics) ??
    startTableSource(config, sourceOptions);
  telemetry.readings = () => ({
    ...source.readings(),
    tagAmbiguous: sides.ambiguousTags,
    connectionsOpen: sides.connections,
    connectionsRefused: sides.refusedConnections,
    callsPassed: sides.passedCalls,
  });
  const admin =
    config.admin === null ? null : newAdmin(config, config.admin, sides, telemetry, source);
  const stop = async (): Promise<void> => {
    pool.close();
    ticker.stop();
    await source.stop();
    await telemetry.stop();
    await admin?.stop();
  };
  let stopped: Promise<void> | null = null;
  try {
    const boundAdmin = (await admin?.start()) ?? null;
    const hasTable = source.start().then(() => true);
    const isStopped = (options.stop ?? NEVER).then(() => false);
    if (options.waitForTable === false) hasTable.catch(() => undefined);
    const mayServe = options.waitForTable === false || (await Promise.race([hasTable, isStopped]));
    if (worker !== undefined) await sides.listen(worker.fd);
    // Who waits is refused by the drain, which is next.
    if (mayServe) sides.serve();
    return {
      listen,
      admin: boundAdmin,
      outbound,
      async drain(drainOptions): Promise<void> {
        const cutOff = await sides.drain(drainOptions);
        if (stopped === null && cutOff + sides.closedUntold > 0) {
          options.log?.warn(
            `at the end of the drain ${cutOff} exchanges were cut off, and ${sides.closedUntold} idle connections closed whose callers could not be told`,
          );
        }
        stopped ??= stop();
        await stopped;
      },
    };
  } catch (error) {
    sides.close();
    await stop();
    throw error;
  }
}

function newAdmin(
  config: ProxyConfig,
  listen: Address,
  sides: Sides,
  telemetry: Awaited<ReturnType<typeof startTelemetry>>,
  source: ReturnType<typeof startTableSource>,
): Admin {
  return new Admin({
    config,
    listen,
    table: () => sides.context.table,
    calls: () => sides.calls,
    notReady: () => (sides.context.isDraining ? "draining" : source.notReady()),
    metrics: () => telemetry.metrics.exposition(),
    facts: () => source.facts(),
  });
}

/** Counts each bug; the log has the first one whole, since the next ones are mostly the same. */
function bugCounter(metrics: Metrics, log: WatchLog): OnBug {
  let isTold = false;
  return (error) => {
    metrics.bug();
    if (isTold) return;
    isTold = true;
    const stack = error instanceof Error ? error.stack : String(error);
    log.warn(`a bug, please report it; its connection was closed, others go on: ${stack}`);
  };
}

/** What is not going to happen. */
export const NEVER = new Promise<never>(() => undefined);

const SILENT: WatchLog = { info: () => undefined, warn: () => undefined };
