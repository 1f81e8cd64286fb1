import { FAULTS, type FaultCode } from "../fault.ts";
import { detached } from "./detached.ts";
import { RecurringMap } from "./recurring-map.ts";

/**
 * Decisions: what they are, and the one place that makes them.
 *
 * Before: routing/decide.ts. After: exchange/exchange.ts.
 * Invariant: a reason that refuses is a fault code, and has the status of fault.ts.
 * Hot path: decisions are constants, made with the table, or remembered by key.
 */

/** Where an exchange goes. */
export type Outcome = "fork" | "baseline" | "refused";

/** Why it goes there: a closed set, the same strings in headers, records, logs and metrics. */
export type Reason =
  | "fork"
  | "no-key"
  | "not-forked"
  | "unknown-key"
  | "expired"
  | "table-unknown"
  | "table-stale"
  | "tag-unreadable"
  | "tag-ambiguous"
  | "fork-down"
  | "wrong-fork"
  | "loop";

/** What one routing key leads to at one workload. */
export interface ForkRoute {
  readonly sandbox: string;
  /** `host:port` each; none means that the fork is down. */
  readonly endpoints: readonly string[];
  readonly onUnavailable: "fail" | "baseline";
}

/** The outcome and the reason for one exchange. Most are made once, with the table, and shared. */
export interface Decision {
  readonly outcome: Outcome;
  readonly reason: Reason;
  /** Status to answer with when refused; 0 otherwise. */
  readonly status: number;
  /** The key that decided; the first of the tag where none did; null when untagged or unreadable. */
  readonly key: string | null;
  /** Where the fork is; set whenever outcome or reason is about a fork. */
  readonly route: ForkRoute | null;
  /** A later key of a composed tag that forks this workload too and lost; null if none. */
  readonly collision: string | null;
}

/** A reason with which a request is refused: a row of the fault table. */
export type RefusalReason = Extract<Reason, FaultCode>;

/** A reason for which a tag that can be read, and has no fork here, goes to the baseline. */
export type BaselineReason = Extract<
  Reason,
  "not-forked" | "unknown-key" | "expired" | "table-unknown"
>;

/** Untagged: what most requests are. */
export const BASELINE_NO_KEY: Decision = baselineFor("no-key", null);

/** A tag that cannot be read, not strict. */
export const BASELINE_TAG_UNREADABLE: Decision = baselineFor("tag-unreadable", null);

/** A tag that cannot be read, strict. */
export const REFUSED_TAG_UNREADABLE: Decision = refusedDecision("tag-unreadable", null);

/** The decision for a fork that the table holds: to it, or by its policy where it has no endpoint. */
export function forkDecision(key: string, route: ForkRoute): Decision {
  const decision: Decision = {
    outcome: "fork",
    reason: "fork",
    status: 0,
    key,
    route,
    collision: null,
  };
  return route.endpoints.length > 0 ? decision : forkDownDecision(decision, route);
}

/** What the sandbox's policy makes of a decision once its fork cannot be reached. */
export function forkDownDecision(decision: Decision, route: ForkRoute): Decision {
  const toBaseline = route.onUnavailable === "baseline";
  return {
    outcome: toBaseline ? "baseline" : "refused",
    reason: "fork-down",
    status: toBaseline ? 0 : FAULTS["fork-down"].status,
    key: decision.key,
    route,
    collision: decision.collision,
  };
}

/** The decision to go to the baseline for a reason that is no fork's. */
export function baselineDecision(reason: BaselineReason, key: string): Decision {
  const recent = recentBaselines[reason];
  const known = recent.get(key);
  if (known !== undefined) return known;
  const decision = baselineFor(reason, detached(key));
  if (recent.admits(key)) recent.keep(key, decision);
  return decision;
}

/** The decision to refuse, with the status of the fault table. */
export function refusedDecision(reason: RefusalReason, key: string | null): Decision {
  const { status } = FAULTS[reason];
  return { outcome: "refused", reason, status, key, route: null, collision: null };
}

function baselineFor(reason: Reason, key: string | null): Decision {
  return { outcome: "baseline", reason, status: 0, key, route: null, collision: null };
}

/**
 * Decisions of which what is written of them is kept, up to 1 KB each: the keys in use at one workload at a
 * time, with room.
 */
export const WRITTEN_DECISIONS_MAX = 512;

/** By key, since nothing else is in them: the same for every workload and every table. */
const recentBaselines: Readonly<Record<BaselineReason, RecurringMap<string, Decision>>> = {
  "not-forked": new RecurringMap(1_024),
  "unknown-key": new RecurringMap(1_024),
  expired: new RecurringMap(1_024),
  "table-unknown": new RecurringMap(1_024),
};
