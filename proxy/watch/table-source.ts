import type { Clock } from "../../core/clock.ts";
import { ConfigError, type ProxyConfig } from "../config.ts";
import type { RoutingTable } from "../routing/table.ts";
import type { HopSource } from "./report.ts";
import { TableFile } from "./table-file.ts";
import { Watch, type WatchLog } from "./watch.ts";

/** Where the routing table comes from, and what it knows of itself. */
export interface TableSource {
  /** Resolves at the first table, or once waiting is over; rejects with a ConfigError for a bad file. */
  start(): Promise<void>;
  stop(): Promise<void>;
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
  lastSeen(): Record<string, number>;
  counters(): Record<string, number>;
  onTable(table: RoutingTable): void;
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
  const { log, onTable } = options;
  const source = file === null ? null : new TableFile({ file, workload, log, onTable });
  return {
    async start(): Promise<void> {
      const read = await source?.start();
      if (read !== undefined && !read.ok) throw new ConfigError("table", read.error);
    },
    stop: async () => source?.stop(),
    notReady: () => null,
    facts: () => ({ state: "file", file }),
    readings: () => ({}),
  };
}
