import { err, ok, type Result } from "../../core/result.ts";
import type { RouteDocument, TableDocument, WorkloadDocument } from "../../core/watch-events.ts";
import { type Decision, forkDecision } from "./decision.ts";
import {
  type CheckedWorkload,
  checkKeysEvent,
  checkRevision,
  checkTable,
  checkWorkload,
  checkWorkloadName,
  TABLE_KEYS_MAX,
  TABLE_WORKLOADS_MAX,
} from "./table-document.ts";

/**
 * The routing table: what one proxy knows, as ready-made decisions.
 *
 * Before: watch/apply.ts, watch/table-file.ts. After: routing/decide.ts.
 * Invariants: a table is replaced, never changed, so an exchange may keep the one it began with;
 * which of two tables is newer is not judged here (watch/apply.ts does).
 * Cold: made once per change; what did not change is shared with the table before.
 */

/**
 * `unknown`: no table yet. `current`: as control has it. `stale`: control has not been heard of
 * for longer than the lease, so a key that is not here may be new.
 */
export type TableState = "unknown" | "current" | "stale";

/** One workload's part of the table: what `decide` looks into. */
export interface WorkloadTable {
  readonly revision: string;
  readonly state: TableState;
  readonly workload: string;
  /** The decision for each key that forks this workload; by its policy if it has no endpoint. */
  readonly routes: ReadonlyMap<string, Decision>;
  /** Live keys, without `.base`; a key in `routes` counts as one of them. */
  readonly known: ReadonlySet<string>;
  /** Keys whose sandbox ended lately; never one that is in `known`. */
  readonly expired: ReadonlySet<string>;
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  /** `host:port`, for proxies that are not next to it; null where the table does not say. */
  readonly baseline: string | null;
}

/** Everything one proxy knows. */
export interface RoutingTable {
  /** Empty before the first table. */
  readonly revision: string;
  readonly state: TableState;
  readonly known: ReadonlySet<string>;
  readonly expired: ReadonlySet<string>;
  readonly workloads: ReadonlyMap<string, WorkloadTable>;
}

/** What does not belong to one workload. */
type TableHead = Pick<RoutingTable, "revision" | "state" | "known" | "expired">;

const NO_KEYS: ReadonlySet<string> = new Set();
const NO_ROUTES: ReadonlyMap<string, Decision> = new Map();

/** The table before the first table. */
export function unknownTable(workloads: readonly string[]): RoutingTable {
  const head: TableHead = { revision: "", state: "unknown", known: NO_KEYS, expired: NO_KEYS };
  return {
    ...head,
    workloads: new Map(workloads.map((name) => [name, emptyWorkload(head, name)])),
  };
}

/**
 * Reads a whole table (core/watch-events.ts, TableDocument); its short form is about `ownWorkload`.
 *
 * The error names path, value and what is allowed.
 */
export function parseTable(document: unknown, ownWorkload: string): Result<RoutingTable, string> {
  const checked = checkTable(document, ownWorkload);
  if (!checked.ok) return checked;
  const { revision, workloads } = checked.value;
  // Routes first: equal strings of a document are two, and the set keeps the one that came first.
  const known = new Set<string>();
  for (const { routes } of workloads.values()) {
    for (const key of routes.keys()) known.add(key);
  }
  for (const key of checked.value.known) known.add(key);
  if (known.size > TABLE_KEYS_MAX) return tooManyKeys("known", known.size);
  const expired = new Set(checked.value.expired.filter((key) => !known.has(key)));
  const head: TableHead = { revision, state: "current", known, expired };
  const views = new Map<string, WorkloadTable>();
  for (const [name, workload] of workloads) views.set(name, view(head, name, workload));
  return ok({ ...head, workloads: views });
}

/** The table with one workload's routes replaced (event `routes`). Its keys count as known. */
export function withRoutes(
  table: RoutingTable,
  revision: string,
  workload: string,
  document: unknown,
): Result<RoutingTable, string> {
  const head = nextHead(table, revision);
  if (!head.ok) return head;
  const named = checkWorkloadName(workload);
  if (!named.ok) return err(`workload${named.error}`);
  const checked = checkWorkload(document);
  if (!checked.ok) return err(`workloads["${workload}"]${checked.error}`);
  const next = withLiveKeys(head.value, [...checked.value.routes.keys()]);
  if (next.known.size > TABLE_KEYS_MAX) return tooManyKeys("known", next.known.size);
  const workloads = viewsWith(table, next);
  workloads.set(workload, view(next, workload, checked.value));
  if (workloads.size > TABLE_WORKLOADS_MAX) {
    return err(`workloads: "${workload}" is one more than the ${TABLE_WORKLOADS_MAX} allowed`);
  }
  return ok({ ...next, workloads });
}

/** The table after keys came and went (event `keys`); routes stay as they are. */
export function withKeys(
  table: RoutingTable,
  revision: string,
  event: unknown,
): Result<RoutingTable, string> {
  const head = nextHead(table, revision);
  if (!head.ok) return head;
  const checked = checkKeysEvent(event);
  if (!checked.ok) return checked;
  const { added, removed, expired } = checked.value;
  const known = new Set(table.known);
  const tombstones = new Set(table.expired);
  for (const key of removed) forget(key, known, tombstones);
  for (const key of expired) forget(key, known, tombstones);
  for (const key of expired) tombstones.add(key);
  for (const key of added) tombstones.delete(key);
  for (const key of added) known.add(key);
  if (known.size > TABLE_KEYS_MAX) return tooManyKeys("known", known.size);
  if (tombstones.size > TABLE_KEYS_MAX) return tooManyKeys("expired", tombstones.size);
  const next: TableHead = { ...head.value, known, expired: tombstones };
  return ok({ ...next, workloads: viewsWith(table, next) });
}

/** The table once control has not been heard of for longer than the lease. */
export function asStale(table: RoutingTable): RoutingTable {
  return withState(table, "stale");
}

/** The table once control was heard of again. */
export function asCurrent(table: RoutingTable): RoutingTable {
  return withState(table, "current");
}

/** One workload's view; an empty one, with the same keys, for a workload the table does not have. */
export function workloadTable(table: RoutingTable, workload: string): WorkloadTable {
  return table.workloads.get(workload) ?? emptyWorkload(table, workload);
}

/** The table in its long form; parseTable reads it back as the same table, current. */
export function toDocument(table: RoutingTable): TableDocument {
  const workloads: Record<string, WorkloadDocument> = {};
  for (const [name, workload] of table.workloads) workloads[name] = workloadDocument(workload);
  return {
    revision: table.revision,
    workloads,
    known: [...table.known],
    expired: [...table.expired],
  };
}

function workloadDocument(workload: WorkloadTable): WorkloadDocument {
  const routes: Record<string, RouteDocument> = {};
  for (const [key, { route }] of workload.routes) {
    if (route !== null) routes[key] = { ...route };
  }
  const { hosts, addresses, baseline } = workload;
  return { hosts, addresses, ...(baseline === null ? {} : { baseline }), routes };
}

function view(head: TableHead, workload: string, checked: CheckedWorkload): WorkloadTable {
  const routes = new Map<string, Decision>();
  for (const [key, route] of checked.routes) routes.set(key, forkDecision(key, route));
  const { hosts, addresses, baseline } = checked;
  return { ...emptyWorkload(head, workload), routes, hosts, addresses, baseline };
}

/** The view of a workload that has no forks, and of which nothing else is known. */
export function emptyWorkload(head: TableHead, workload: string): WorkloadTable {
  return {
    revision: head.revision,
    state: head.state,
    workload,
    routes: NO_ROUTES,
    known: head.known,
    expired: head.expired,
    hosts: [],
    addresses: [],
    baseline: null,
  };
}

/** All views of `table` under another head. */
function viewsWith(table: RoutingTable, head: TableHead): Map<string, WorkloadTable> {
  const { revision, state, known, expired } = head;
  const views = new Map<string, WorkloadTable>();
  for (const [name, former] of table.workloads) {
    views.set(name, { ...former, revision, state, known, expired });
  }
  return views;
}

/** A change is one to a whole table: without it, keys that others know would look unknown. */
function nextHead(table: RoutingTable, revision: string): Result<TableHead, string> {
  if (table.state === "unknown") return err("a change came before any table; a snapshot is needed");
  const checked = checkRevision(revision);
  if (!checked.ok) return checked;
  const { state, known, expired } = table;
  return ok({ revision: checked.value, state, known, expired });
}

/** Shares the sets where they hold the keys already, as they do when control sent `keys` before. */
function withLiveKeys(head: TableHead, keys: readonly string[]): TableHead {
  if (keys.every((key) => head.known.has(key))) return head;
  const known = new Set(head.known);
  const expired = new Set(head.expired);
  for (const key of keys) {
    known.add(key);
    expired.delete(key);
  }
  return { ...head, known, expired };
}

function forget(key: string, known: Set<string>, expired: Set<string>): void {
  known.delete(key);
  expired.delete(key);
}

/** Without a table there is nothing that could be stale, or current. */
function withState(table: RoutingTable, state: "current" | "stale"): RoutingTable {
  if (table.state === state || table.state === "unknown") return table;
  const { revision, known, expired } = table;
  const head: TableHead = { revision, state, known, expired };
  return { ...head, workloads: viewsWith(table, head) };
}

function tooManyKeys(path: string, count: number): Result<never, string> {
  return err(`${path}: ${count} keys, at most ${TABLE_KEYS_MAX} are allowed`);
}
