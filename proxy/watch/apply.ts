import { parseJson } from "../../core/json.ts";
import { err, type Result } from "../../core/result.ts";
import { compareRevisions, isRevision } from "../../core/revision.ts";
import type { SseEvent } from "../../core/sse.ts";
import type { FlushEvent, RoutesEvent, RunsEvent, TableDocument } from "../../core/watch-events.ts";
import { parseTable, type RoutingTable, withKeys, withRoutes } from "../routing/table.ts";

/**
 * Turns events of the watch into the next routing table.
 *
 * Before: subscribe.ts. After: routing/table.ts makes the table, watch.ts hands it to the listener.
 * Invariants: a table is replaced, never changed; an older state never replaces a newer one; another
 * epoch is taken only as a whole snapshot; a change is applied only to the state it was made for, so
 * after one that was kept out nothing is taken until the stream has started again.
 */

/** Why an event was kept out: a closed set, for metrics. */
export type RejectCode = "unreadable" | "older" | "other-epoch" | "out-of-sync";

/** Longest id of a flush; one that is longer is not answered. */
const FLUSH_ID_CHARS_MAX = 200;

/** What became of one event. */
export type Applied =
  | { readonly kind: "table"; readonly event: "snapshot" | "routes" | "keys" }
  | { readonly kind: "flush"; readonly id: string }
  | { readonly kind: "runs"; readonly observeMs: number }
  | { readonly kind: "heard" }
  | {
      readonly kind: "rejected";
      readonly code: RejectCode;
      readonly revision: string | null;
      readonly why: string;
    };

/** An event that made one table of another, as control sent it. */
export interface TableChange {
  readonly kind: "routes" | "keys";
  /** Of the table after it. */
  readonly revision: string;
  /** RoutesEvent or KeysEvent as JSON. */
  readonly data: string;
}

/** The table after a change; which of the two is newer was judged before. */
export function changedTable(
  table: RoutingTable,
  { kind, revision, data }: TableChange,
): Result<RoutingTable, string> {
  const body = parseJson(data);
  if (!body.ok) return err(`it ${body.error}`);
  if (kind === "keys") return withKeys(table, revision, body.value);
  return changeRoutes(table, body.value, revision);
}

/** The table as control last described it, and its revision. */
export class TableApplier {
  readonly #workload: string;
  #table: RoutingTable | null = null;
  #revision: string | null = null;
  #isInSync = false;
  /** False after a change that could not be read: what it changed can only come as a snapshot. */
  #canResume = false;

  /** A table without `workload` is no table for this proxy. */
  constructor(workload: string) {
    this.#workload = workload;
  }

  /** The last good table; null before the first one. */
  get table(): RoutingTable | null {
    return this.#table;
  }

  /** Its revision; null before the first one. */
  get revision(): string | null {
    return this.#revision;
  }

  /** What to resume the next stream after; null asks for a snapshot. */
  get resumeAfter(): string | null {
    return this.#canResume ? this.#revision : null;
  }

  /** Whether the table is what control has, as far as the present stream tells. */
  get isInSync(): boolean {
    return this.#isInSync;
  }

  /** A new stream begins: it continues after `resumeAfter`, or it sends a snapshot first. */
  streamOpened(): void {
    this.#isInSync = this.#canResume;
  }

  /** Begins with a table from the disk. */
  restore(document: TableDocument): Result<RoutingTable, string> {
    const revision = String(document.revision);
    const parsed = this.#parseSnapshot(document, revision);
    if (parsed.ok) this.#take(parsed.value, revision);
    return parsed;
  }

  /** Forgets the table: it is too old to route by. */
  forget(): void {
    this.#table = null;
    this.#revision = null;
    this.#canResume = false;
    this.#isInSync = false;
  }

  /** Applies one event. Total: whatever comes is applied, heard, or kept out with a reason. */
  apply(event: SseEvent): Applied {
    switch (event.event) {
      case "snapshot":
        return this.#applySnapshot(event);
      case "routes":
      case "keys":
        return this.#applyChange(event.event, event);
      case "flush":
        return readFlush(event.data);
      case "runs":
        return readRuns(event.data);
      default:
        return { kind: "heard" };
    }
  }

  #applySnapshot(event: SseEvent): Applied {
    const revision = event.id;
    if (!isRevision(revision)) return this.#reject("unreadable", null, "its id is no revision");
    const order = this.#revision === null ? "newer" : compareRevisions(revision, this.#revision);
    if (order === "older") {
      return this.#reject("older", revision, `it is older than ${this.#revision}`);
    }
    const document = parseJson(event.data);
    if (!document.ok) return this.#reject("unreadable", revision, `it ${document.error}`);
    const parsed = this.#parseSnapshot(document.value, revision);
    if (!parsed.ok) return this.#reject("unreadable", revision, parsed.error);
    this.#take(parsed.value, revision);
    return { kind: "table", event: "snapshot" };
  }

  #parseSnapshot(document: unknown, revision: string): Result<RoutingTable, string> {
    const parsed = parseTable(document, this.#workload);
    if (!parsed.ok) return parsed;
    const table = parsed.value;
    if (table.revision !== revision) return err(`it says revision ${table.revision} of itself`);
    // Without it every key would look as if it forked nothing here.
    if (!table.workloads.has(this.#workload)) return err(`it does not hold ${this.#workload}`);
    return parsed;
  }

  #applyChange(kind: "routes" | "keys", event: SseEvent): Applied {
    const revision = event.id;
    const table = this.#table;
    if (table === null || this.#revision === null || !this.#isInSync) {
      return this.#reject("out-of-sync", revision, "it changes a table that is not there");
    }
    const order = compareRevisions(revision, this.#revision);
    if (order === "older") {
      return this.#reject("older", revision, `it is older than ${this.#revision}`);
    }
    if (order === "unrelated") {
      return this.#reject("other-epoch", revision, `it does not follow ${this.#revision}`);
    }
    const changed = changedTable(table, { kind, revision, data: event.data });
    if (!changed.ok) return this.#reject("unreadable", revision, changed.error);
    this.#take(changed.value, revision);
    return { kind: "table", event: kind };
  }

  #take(table: RoutingTable, revision: string): void {
    this.#table = table;
    this.#revision = revision;
    this.#isInSync = true;
    this.#canResume = true;
  }

  #reject(code: RejectCode, revision: string | null, why: string): Applied {
    this.#isInSync = false;
    if (code === "unreadable" || code === "other-epoch") this.#canResume = false;
    return {
      kind: "rejected",
      code,
      revision: revision?.slice(0, 80) ?? null,
      why: why.slice(0, 400),
    };
  }
}

function changeRoutes(
  table: RoutingTable,
  body: unknown,
  revision: string,
): Result<RoutingTable, string> {
  const event = body as Partial<RoutesEvent> | null;
  if (typeof event?.workload !== "string") return err("routes: workload is missing");
  return withRoutes(table, revision, event.workload, event.table);
}

function readFlush(text: string): Applied {
  const event = valueIn(text) as Partial<FlushEvent> | null;
  const id = event?.flush;
  if (typeof id !== "string" || id.length > FLUSH_ID_CHARS_MAX) return { kind: "heard" };
  return { kind: "flush", id };
}

/** The longest of the runs that ask for observations; a kind that is not known asks for none. */
function readRuns(text: string): Applied {
  const event = valueIn(text) as Partial<RunsEvent> | null;
  if (!Array.isArray(event?.runs)) return { kind: "heard" };
  let observeMs = 0;
  for (const run of event.runs as readonly Partial<RunsEvent["runs"][number]>[]) {
    const forMs = run?.kind === "propagation" ? run.forMs : undefined;
    if (typeof forMs === "number" && forMs > observeMs) observeMs = forMs;
  }
  return { kind: "runs", observeMs };
}

/** Null where it is no JSON: no event is null. */
function valueIn(text: string): unknown {
  const parsed = parseJson(text);
  return parsed.ok ? parsed.value : null;
}
