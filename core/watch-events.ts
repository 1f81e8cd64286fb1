/**
 * The words of the watch between control and a proxy (`GET /v1/watch`, server-sent events).
 *
 * The id of each event is the revision that holds once it is applied. Unknown events are ignored.
 */

/** Version of the watch; control serves this one and the one before. Header `forklane-protocol`. */
export const WATCH_PROTOCOL = 1;

/** Header that carries WATCH_PROTOCOL, both ways. */
export const PROTOCOL_HEADER = "forklane-protocol";

/** What one key leads to at one workload. */
export interface RouteDocument {
  /** Name of the sandbox; a label, and what a fork's own proxy compares with its own. */
  readonly sandbox: string;
  /** `host:port` each; none means that the fork is down. */
  readonly endpoints: readonly string[];
  /** What to do when the fork is down; `fail` where absent. */
  readonly onUnavailable?: "fail" | "baseline";
}

/** What a proxy needs to know of one workload. */
export interface WorkloadDocument {
  /** Host names by which callers know the workload. */
  readonly hosts?: readonly string[];
  /** IP addresses or `address:port` by which callers know it. */
  readonly addresses?: readonly string[];
  /** `host:port` of the baseline, for proxies that are not next to it. */
  readonly baseline?: string;
  /** Routing key to route. */
  readonly routes: Readonly<Record<string, RouteDocument>>;
}

/** A whole table: the file `--table`, the event `snapshot`, and the last-known-good file. */
export interface TableDocument {
  readonly revision: string | number;
  /** Short form for one workload: the proxy's own. */
  readonly routes?: Readonly<Record<string, RouteDocument>>;
  readonly workloads?: Readonly<Record<string, WorkloadDocument>>;
  /** Every live routing key, also those that fork none of these workloads. */
  readonly known?: readonly string[];
  /** Keys whose sandbox ended a while ago (tombstones, kept 24 h). */
  readonly expired?: readonly string[];
}

/** Event `routes`: one workload's new state, whole. */
export interface RoutesEvent {
  readonly workload: string;
  readonly table: WorkloadDocument;
}

/** Event `keys`: which keys came and went since the revision before. */
export interface KeysEvent {
  readonly added: readonly string[];
  /** No longer known, without a tombstone. */
  readonly removed: readonly string[];
  /** No longer known, with a tombstone. */
  readonly expired: readonly string[];
}

/** Event `flush`: send every hop record that you hold, then a batch that names this id. */
export interface FlushEvent {
  readonly flush: string;
}

/**
 * Event `runs`: what is announced now, whole; sent when it changes and at the start of a stream, empty
 * too. No event says that a run is over by its time: `forMs` does.
 * `propagation` asks for observations (core/observation.ts).
 */
export interface RunsEvent {
  readonly runs: readonly {
    readonly id: string;
    readonly kind: "propagation";
    /** How long it goes on from now, in milliseconds: clocks differ. */
    readonly forMs: number;
  }[];
}

/** Event `heartbeat`: control is there and holds this revision. */
export interface HeartbeatEvent {
  readonly revision: string;
}
