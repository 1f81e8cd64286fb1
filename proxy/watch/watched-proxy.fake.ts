import type { ProxyConfig } from "../config.ts";
import { readProxyConfig } from "../config.ts";
import type { RoutingTable } from "../routing/table.ts";
import { type OldestLines, oldestLines } from "../telemetry/oldest-lines.ts";
import type { HopSource, ObservationSource, TakenHops } from "./report.ts";
import { Watch, type WatchOptions } from "./watch.ts";

/** A clock that stands still until it is told; for tests. */
export class HandClock {
  ms = 1_700_000_000_000;

  nowMs(): number {
    return this.ms;
  }

  epochMs(): number {
    return this.ms;
  }
}

/** Hop records that tests put in; the real ones are in telemetry/, which a watch does not know. */
export class QueuedHops implements HopSource {
  lines: string[] = [];
  dropped: Record<string, number> = {};

  get held(): number {
    return this.lines.length;
  }

  /** Some are left only where a batch was full; those that come later are for the next one. */
  hasMore = false;

  take(bytesMax: number): TakenHops | null {
    if (this.lines.length === 0 && Object.keys(this.dropped).length === 0) return null;
    const dropped = this.dropped;
    this.dropped = {};
    const { lines, count } = oldestLines(this.lines, bytesMax) ?? { lines: "", count: 0 };
    this.hasMore = count < this.lines.length;
    return { lines, count, dropped };
  }

  confirm(taken: TakenHops): void {
    this.lines.splice(0, taken.count);
  }

  giveBack(taken: TakenHops): void {
    this.dropped = { ...taken.dropped };
  }

  discard(taken: TakenHops): void {
    this.lines.splice(0, taken.count);
  }
}

/** Observations that tests put in, and the windows that were asked for. */
export class QueuedObservations implements ObservationSource {
  lines: string[] = [];
  dropped = 0;
  takenAtOnce = Number.POSITIVE_INFINITY;
  readonly windows: number[] = [];

  observeFor(ms: number): void {
    this.windows.push(ms);
  }

  take(bytesMax: number): OldestLines | null {
    return oldestLines(this.lines.slice(0, this.takenAtOnce), bytesMax);
  }

  remove(count: number, wasTaken: boolean): void {
    this.lines.splice(0, count);
    if (!wasTaken) this.dropped += count;
  }
}

/** A watch with everything that it told; for tests. */
export interface WatchedProxy {
  readonly watch: Watch;
  readonly clock: HandClock;
  readonly hops: QueuedHops;
  readonly observations: QueuedObservations;
  readonly tables: RoutingTable[];
  readonly log: string[];
}

/** Builds a watch for `shop/cart` that is not started yet. */
export function newWatch(
  control: string,
  flags: Readonly<Record<string, string>> = {},
  options: Partial<WatchOptions> = {},
): WatchedProxy {
  const clock = new HandClock();
  const hops = new QueuedHops();
  const observations = new QueuedObservations();
  const tables: RoutingTable[] = [];
  const log: string[] = [];
  const watch = new Watch({
    config: configFor(control, flags),
    listen: "127.0.0.1:8110",
    admin: null,
    clock,
    hops,
    observations,
    log: { info: (message) => log.push(message), warn: (message) => log.push(message) },
    onTable: (table) => tables.push(table),
    lastSeen: () => ({}),
    counters: () => ({}),
    ...options,
  });
  return { watch, clock, hops, observations, tables, log };
}

function configFor(control: string, flags: Readonly<Record<string, string>>): ProxyConfig {
  const quick = { listen: "127.0.0.1:0", upstream: "127.0.0.1:9001", workload: "shop/cart" };
  const config = readProxyConfig({ ...quick, control, instance: "cart-1", ...flags }, {});
  if (!config.ok) throw config.error;
  return config.value;
}
