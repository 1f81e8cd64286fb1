import type { Clock } from "../../core/clock.ts";
import { ConfigError, type ProxyConfig } from "../config.ts";
import type { RoutingTable } from "../routing/table.ts";
import type { TableChange } from "./apply.ts";
import type { HopSource, ObservationSource } from "./report.ts";
import { TableFile } from "./table-file.ts";
import { Watch, type WatchLog, type WatchWorkers } from "./watch.ts";

/** Where the routing table comes from, and what it knows of itself. */
export interface TableSource {
  /** Resolves at the first table, or once waiting is over; rejects with a ConfigError for a bad file. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** All workers have applied the table; only of a source with `workers`. */
  workersApplied?(): void;
  /** Hop records that workers wait for are sent now; only of a source with `workers`. */
  hurry?(): void;
  /** Another process keeps the table on disk from now on; only where one is kept. */
  handOverMemory?(): void;
  /** Null when traffic may come; else why not. */
  notReady(): string | null;
  facts(): Readonly<Record<string, unknown>>;
  readings(): {
    readonly tableAgeMs?: number | null;
    readonly isTableStale?: boolean;
    readonly tablesRejected?: Readonly<Record<string, number>>;
  };
}

/** Whom a source tells, and what it reports to control. */
export interface TableSourceOptions {
  readonly listen: string;
  readonly admin: string | null;
  readonly clock: Clock;
  readonly log: WatchLog;
  readonly hops: HopSource;
  readonly observations: ObservationSource;
  lastSeen(): Record<string, number>;
  counters(): Record<string, number>;
  /** As in WatchOptions; a file's tables each stand for themselves. */
  onTable(table: RoutingTable, change: TableChange | "state" | null): void;
  readonly workers?: WatchWorkers;
}

/** Takes the table from control or from a file, whichever is configured. */
export function startTableSource(config: ProxyConfig, options: TableSourceOptions): TableSource {
  return config.control !== null ? fromControl(config, options) : fromFile(config, options);
}

function fromControl(config: ProxyConfig, options: TableSourceOptions): TableSource {
  const watch = new Watch({ config, ...options });
  let isStarting = true;
  return {
    async start(): Promise<void> {
      await watch.start();
      isStarting = false;
    },
    stop: () => watch.flushAndLeave(),
    workersApplied: () => watch.workersApplied(),
    hurry: () => watch.hurry(),
    handOverMemory: () => watch.handOverMemory(),
    notReady: () => (isStarting ? "no routing table yet" : null),
    facts: () => ({ state: watch.state, revision: watch.revision, stalenessMs: watch.stalenessMs }),
    readings: () => ({
      tableAgeMs: watch.stalenessMs,
      isTableStale: watch.state === "stale",
      tablesRejected: watch.rejectedCounts,
    }),
  };
}

function fromFile(config: ProxyConfig, options: TableSourceOptions): TableSource {
  const { workload, table: file } = config;
  const { log } = options;
  const onTable = (table: RoutingTable) => options.onTable(table, null);
  const source = file === null ? null : new TableFile({ file, workload, log, onTable });
  return {
    async start(): Promise<void> {
      const read = await source?.start();
      if (read !== undefined && !read.ok) throw new ConfigError("--table", read.error);
    },
    stop: async () => source?.stop(),
    notReady: () => null,
    facts: () => ({ state: "file", file }),
    readings: () => ({}),
  };
}
