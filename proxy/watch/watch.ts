import type { Clock } from "../../core/clock.ts";
import { LEASE_MS, type ProxyStatus } from "../../core/proxy-status.ts";
import type { SseEvent } from "../../core/sse.ts";
import type { ProxyConfig } from "../config.ts";
import {
  asCurrent,
  asStale,
  type RoutingTable,
  toDocument,
  unknownTable,
} from "../routing/table.ts";
import { type RejectCode, TableApplier, type TableChange } from "./apply.ts";
import { ControlApi } from "./control-api.ts";
import { EndpointChecks } from "./endpoint-checks.ts";
import { TABLE_AGE_MAX_MS, TableMemory } from "./remember.ts";
import { type HopSource, type ObservationSource, Reporter } from "./report.ts";
import { Subscription } from "./subscribe.ts";

/**
 * Keeps the routing table as control has it, and control informed of this proxy.
 *
 * Before: proxy.ts. After: subscribe.ts, apply.ts, remember.ts, endpoint-checks.ts, report.ts.
 * Invariants: the proxy serves on its last table while control is gone; it says of itself that the
 * table is stale once it lost control for longer than its lease, and uses none that is older than 24
 * hours. Not on the request path: the listener gets each table whole.
 */

/** What a proxy is before its first table: everybody goes to the baseline, strict tags are refused. */
export type WatchState = "table-unknown" | "current" | "stale";

/** How long a start waits for the first table, in milliseconds; then it serves without. */
const FIRST_TABLE_MS = 5_000;

/** How often deadlines are looked at: the lease ends at most this much late. */
const TICK_MS = 100;

/** How long a stop waits for control, in milliseconds. */
const LEAVE_MS = 2_000;

/** Version of the proxy, as control shows it; a test holds it to package.json. */
export const PROXY_VERSION = "0.1.0";

/** Where the watch says what an operator should know. */
export interface WatchLog {
  info(message: string): void;
  warn(message: string): void;
}

/** The processes that route by the table, where that is not the one that watches. */
export interface WatchWorkers {
  /** Revision that each has applied; null before its first table. */
  applied(): readonly (string | null)[];
  /** Resolves once each has handed over what it held; never, where one does not answer. */
  flush(id: string): Promise<void>;
}

/** What the watch needs, and whom it tells. */
export interface WatchOptions {
  readonly config: ProxyConfig;
  /** `host:port` where the proxy takes traffic, and where its admin answers. */
  readonly listen: string;
  readonly admin: string | null;
  readonly clock: Clock;
  readonly hops: HopSource;
  readonly observations: ObservationSource;
  readonly log: WatchLog;
  /**
   * Told of each table to route by from now on, and by which change it came from the one before:
   * `state` where it says the same, null where it stands for itself.
   */
  onTable(table: RoutingTable, change: TableChange | "state" | null): void;
  /** Where the table is handed on to other processes; absent: this one routes by it. */
  readonly workers?: WatchWorkers;
  /** Key to milliseconds since the Unix epoch. */
  lastSeen(): Record<string, number>;
  counters(): Record<string, number>;
  /** For tests: shorter than the defaults. */
  readonly heartbeatTimeoutMs?: number;
  readonly firstTableMs?: number;
}

/** The watch of one proxy over its table, from start to goodbye. Needs `config.control`. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #applier: TableApplier;
  readonly #api: ControlApi;
  #memory: TableMemory | null;
  readonly #checks: EndpointChecks | null;
  readonly #reporter: Reporter;
  readonly #subscription: Subscription;
  readonly #firstTable = Promise.withResolvers<void>();
  readonly #rejectedCounts: Record<RejectCode, number> = {
    unreadable: 0,
    older: 0,
    "other-epoch": 0,
    "out-of-sync": 0,
  };
  #rejected: ProxyStatus["rejected"] = null;
  #state: WatchState = "table-unknown";
  /** When control last confirmed the table, in `clock.nowMs`; null before the first table. */
  #confirmedAtMs: number | null = null;
  /** Whether the present outage was told. */
  #isOutageTold = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WatchOptions) {
    const { config, clock, log } = options;
    if (config.control === null) throw new Error("a watch needs the address of control");
    this.#options = options;
    this.#applier = new TableApplier(config.workload);
    this.#api = new ControlApi({ control: config.control, tokenFile: config.tokenFile });
    this.#memory = config.stateDir === null ? null : newMemory(options, config.stateDir);
    this.#checks =
      config.sandbox === null
        ? new EndpointChecks({ clock, onChange: () => this.#reporter.changed() })
        : null;
    this.#reporter = new Reporter({
      api: this.#api,
      instance: config.instance,
      hops: options.hops,
      observations: options.observations,
      status: () => this.#status(),
      lastSeen: options.lastSeen,
      onFault: (why) => {
        if (!this.#isOutageTold) log.warn(`control does not take reports: ${why}`);
      },
    });
    this.#subscription = new Subscription({
      api: this.#api,
      clock,
      path: watchPath(config),
      ...(options.heartbeatTimeoutMs && { heartbeatTimeoutMs: options.heartbeatTimeoutMs }),
      lastEventId: () => this.#applier.resumeAfter,
      onOpen: () => this.#applier.streamOpened(),
      onEvent: (event) => this.#take(event),
      onLost: (why) => this.#tellOutage(why),
    });
  }

  /** `table-unknown` before the first table and after one that grew too old. */
  get state(): WatchState {
    return this.#state;
  }

  /** Milliseconds since control confirmed the table; null without a table. */
  get stalenessMs(): number | null {
    if (this.#confirmedAtMs === null || this.#applier.table === null) return null;
    return Math.max(0, this.#options.clock.nowMs() - this.#confirmedAtMs);
  }

  /** Revision of the table in use; null without one. */
  get revision(): string | null {
    return this.#applier.revision;
  }

  /** How many tables were kept out, by why. */
  get rejectedCounts(): Readonly<Record<RejectCode, number>> {
    return this.#rejectedCounts;
  }

  /** All workers have applied the table: control is told at once. */
  workersApplied(): void {
    this.#reporter.changed();
  }

  /** A worker waits for its hop records to leave. */
  hurry(): void {
    this.#reporter.hurry();
  }

  /** Another process keeps the table on disk from now on. */
  handOverMemory(): void {
    this.#memory = null;
  }

  /** Begins to watch; resolves at the first table, from control or from the disk, or after 5 s. */
  async start(): Promise<void> {
    await this.#restore();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    this.#subscription.start();
    this.#reporter.start();
    const cap = setTimeout(
      () => this.#firstTable.resolve(),
      this.#options.firstTableMs ?? FIRST_TABLE_MS,
    );
    await this.#firstTable.promise;
    clearTimeout(cap);
  }

  /** Sends what is left, says goodbye to control and stops; takes at most two seconds. */
  async flushAndLeave(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#firstTable.resolve();
    this.#checks?.stop();
    if (this.#state === "current") this.#memory?.changed(this.#document);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LEAVE_MS);
    await Promise.race([Promise.all([this.#reporter.leave(), this.#memory?.flush()]), late]);
    clearTimeout(timer);
    this.#api.close();
    await this.#subscription.stop();
  }

  async #restore(): Promise<void> {
    const { log, clock } = this.#options;
    const recalled = await this.#memory?.recall();
    if (recalled === undefined) return;
    if (!recalled.ok) {
      if (recalled.error.code === "absent") return;
      log.warn(`the last table on disk is not used: ${recalled.error.why}`);
      return;
    }
    const { document, confirmedAtMs } = recalled.value;
    const restored = this.#applier.restore(document);
    if (!restored.ok) {
      log.warn(`the last table on disk is not used: ${restored.error}`);
      return;
    }
    this.#confirmedAtMs = clock.nowMs() - (clock.epochMs() - confirmedAtMs);
    log.info(`serving the last table on disk, revision ${this.#applier.revision}`);
    this.#use("stale", null);
    this.#wantEndpoints();
  }

  /** Takes one event of the stream. Whatever it is, control is there. */
  #take(event: SseEvent): "continue" | "restart" {
    const applied = this.#applier.apply(event);
    this.#tellBack();
    if (applied.kind === "rejected") return this.#reject(applied);
    if (applied.kind === "flush") this.#flush(applied.id);
    if (applied.kind === "runs") this.#options.observations.observeFor(applied.observeMs);
    if (applied.kind === "table") this.#takeTable(applied.event, event);
    else if (this.#applier.isInSync) this.#confirm();
    return "continue";
  }

  /** What workers hold comes first: the answer says that nothing is held any more. */
  #flush(id: string): void {
    const { workers } = this.#options;
    if (workers === undefined) this.#reporter.flush(id);
    else void workers.flush(id).then(() => this.#reporter.flush(id));
  }

  #takeTable(kind: "snapshot" | "routes" | "keys", { id: revision, data }: SseEvent): void {
    this.#rejected = null;
    this.#confirmedAtMs = this.#options.clock.nowMs();
    this.#use("current", kind === "snapshot" ? null : { kind, revision, data });
    this.#memory?.changed(this.#document);
    if (kind !== "keys") this.#wantEndpoints();
    // Of workers it is told once they have applied it.
    if (this.#options.workers === undefined) this.#reporter.changed();
  }

  /** Control has nothing new: the table is as good as new. */
  #confirm(): void {
    this.#confirmedAtMs = this.#options.clock.nowMs();
    if (this.#state !== "current") this.#use("current", "state");
    this.#memory?.confirmed(this.#document);
  }

  #reject(rejected: { code: RejectCode; revision: string | null; why: string }): "restart" {
    const { code, revision, why } = rejected;
    this.#rejectedCounts[code]++;
    this.#rejected = { revision, why: `${code}: ${why}` };
    this.#options.log.warn(`a table from control (revision ${revision}) is kept out: ${why}`);
    this.#reporter.changed();
    return "restart";
  }

  /** Hands over the table in the form that fits the state. */
  #use(state: WatchState, change: TableChange | "state" | null): void {
    this.#state = state;
    const table = this.#applier.table;
    if (table === null) {
      this.#options.onTable(unknownTable([this.#options.config.workload]), null);
      return;
    }
    this.#options.onTable(state === "stale" ? asStale(table) : asCurrent(table), change);
    this.#firstTable.resolve();
  }

  #tick(): void {
    this.#memory?.tick();
    this.#checks?.tick();
    const stalenessMs = this.stalenessMs;
    if (stalenessMs === null) return;
    if (stalenessMs > TABLE_AGE_MAX_MS) this.#forget();
    else if (stalenessMs > LEASE_MS && this.#state === "current") this.#fence();
  }

  #fence(): void {
    this.#options.log.warn(
      `control is lost for longer than the lease of ${LEASE_MS} ms: strict tags with unknown keys are refused`,
    );
    this.#use("stale", "state");
  }

  #forget(): void {
    this.#options.log.warn("the table is older than 24 hours and is not used any more");
    this.#applier.forget();
    this.#use("table-unknown", null);
  }

  #tellOutage(why: string): void {
    if (this.#isOutageTold) return;
    this.#isOutageTold = true;
    const serving = this.#applier.table === null ? "the baseline" : "the last table";
    const control = this.#options.config.control;
    this.#options.log.warn(`control at ${control} is lost (${why}): serving ${serving}, trying on`);
  }

  #tellBack(): void {
    if (!this.#isOutageTold) return;
    this.#isOutageTold = false;
    this.#options.log.info("control is back");
    this.#reporter.reconnected();
  }

  #wantEndpoints(): void {
    if (this.#checks === null || this.#applier.table === null) return;
    this.#checks.want(endpointsOf(this.#applier.table));
  }

  readonly #document = () => {
    const table = this.#applier.table;
    return table === null ? null : toDocument(table);
  };

  #status(): Omit<ProxyStatus, "lastSeen" | "leaving"> {
    const { config, listen, admin, counters } = this.#options;
    return {
      workloads: config.mode === "outbound" ? [] : [config.workload],
      ...(config.outbound !== null && { callees: [...config.outbound.callees.keys()] }),
      mode: config.mode,
      sandbox: config.sandbox,
      listen,
      admin,
      version: PROXY_VERSION,
      leaseMs: LEASE_MS,
      applied: this.#options.workers?.applied() ?? [this.#applier.revision],
      rejected: this.#rejected,
      endpoints: this.#checks?.results() ?? {},
      counters: counters(),
    };
  }
}

/** Every fork endpoint that the table names. */
function endpointsOf(table: RoutingTable): Set<string> {
  const endpoints = new Set<string>();
  for (const { routes } of table.workloads.values()) {
    for (const { route } of routes.values()) {
      for (const endpoint of route?.endpoints ?? []) endpoints.add(endpoint);
    }
  }
  return endpoints;
}

function newMemory(options: WatchOptions, dir: string): TableMemory {
  const { config, clock, log } = options;
  return new TableMemory({
    dir,
    workload: config.workload,
    clock,
    onFault: (why) => log.warn(`the last table is not kept: ${why}`),
  });
}

/** The instance ties the stream to the status, so that control knows whom it tells. */
function watchPath({ workload, instance, outbound }: ProxyConfig): string {
  const query = new URLSearchParams({ workload, instance });
  for (const callee of outbound?.callees.keys() ?? []) {
    if (callee !== workload) query.append("workload", callee);
  }
  return `/v1/watch?${query}`;
}
