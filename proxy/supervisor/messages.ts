import type { MetricSample } from "../telemetry/samples.ts";
import type { TableChange } from "../watch/apply.ts";
import type { TakenHops } from "../watch/report.ts";

/** What a supervisor and its workers say to each other, over the channel that Node gives a child. */

/** Where a worker finds the listening socket: behind the three that all have, and the channel. */
export const WORKER_LISTEN_FD = 4;

/** From the supervisor. */
export type ToWorker =
  /** The first one: settings as flags (config.ts), and which worker this is, from 1. */
  | { readonly kind: "start"; readonly settings: Settings; readonly index: number }
  | TableMessage
  /** The batch of hop records that was handed over is settled: whatever became of it is told. */
  | { readonly kind: "settled" }
  /** Hand over every hop record, then say so. */
  | { readonly kind: "flush"; readonly id: string }
  /** Observe for this long from now; 0: no longer. */
  | { readonly kind: "observe"; readonly forMs: number }
  /** Send figures that name this number. */
  | { readonly kind: "ask"; readonly number: number }
  /** Stop, as Listener.drain says; once more, to bring the deadline forward. */
  | { readonly kind: "drain"; readonly accepts: boolean; readonly withinMs: number };

/** The table to route by. */
export interface TableMessage {
  readonly kind: "table";
  /** Counts up with each one: what an acknowledgement names. */
  readonly number: number;
  readonly state: "unknown" | "current" | "stale";
  /** A TableDocument as JSON; null: the table that the worker has, after these changes. */
  readonly document: Uint8Array | null;
  readonly changes: readonly TableChange[];
}

/** From a worker. */
export type FromWorker =
  /** It has a table, and takes connections. */
  | { readonly kind: "accepting" }
  /** It cannot start; the exit code is the one of the command. */
  | { readonly kind: "failed"; readonly message: string; readonly exitCode: number }
  | { readonly kind: "applied"; readonly number: number; readonly revision: string | null }
  /** It cannot use this table, or these changes of the one that it has. */
  | { readonly kind: "unfit"; readonly number: number }
  /** One batch at a time; the next one after `settled`, but at the end, when all that is left comes. */
  | ({ readonly kind: "hops" } & TakenHops)
  | { readonly kind: "observations"; readonly lines: string; readonly dropped: number }
  | { readonly kind: "flushed"; readonly id: string }
  | ({ readonly kind: "figures"; readonly number: number | null } & Figures);

/** What a worker has counted and seen. */
export interface Figures {
  readonly counters: Readonly<Record<string, number>>;
  /** Keys seen since the figures before; milliseconds since the Unix epoch. */
  readonly lastSeen: Readonly<Record<string, number>>;
  readonly metrics: readonly MetricSample[];
}

/** Settings keyed as flags are. */
export type Settings = Readonly<Record<string, string>>;
