import type { HopRecord } from "../../../core/hop-record.ts";
import type { Observation } from "../../../core/observation.ts";

/** One service that calls another. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/** What is read of a hop record. */
export type JudgedHop = Pick<
  HopRecord,
  | "root"
  | "hop"
  | "parent"
  | "mode"
  | "timeMs"
  | "totalMs"
  | "caller"
  | "workload"
  | "sandbox"
  | "tag"
  | "traceId"
  | "healed"
>;

/** An address at which one workload stands, and no other that is known. */
export interface Place {
  readonly address: string;
  readonly workload: string;
  /** The sandboxes whose forks of it stand there; empty: its baseline does. */
  readonly sandboxes: readonly string[];
}

/** All that the judge of propagation looks at; the order of its lists means nothing. */
export interface PropagationEvidence {
  /** Roots of the tagged requests that are judged: probes, or real ones. */
  readonly roots: readonly string[];
  /** Records of those roots, and of other roots with their trace ids. */
  readonly hops: readonly JudgedHop[];
  readonly observations: readonly Observation[];
  /** Edges that earlier requests took. */
  readonly expected: readonly Edge[];
  readonly places: readonly Place[];
  /** Workloads at which a proxy observed. */
  readonly observed: readonly string[];
  /** How long was observed, in milliseconds. */
  readonly observedMs: number;
  /** Why evidence may be missing, a sentence each; none: it is all there. */
  readonly gaps: readonly string[];
}

/** How a tag fares from one service to another. */
export type EdgeState =
  | "propagates"
  | "drops-baggage"
  | "drops-all"
  | "mangles"
  /** Expected, and no tagged request came. */
  | "not-seen";

/** Why a tag does not arrive: a closed set, each with its fix (fix.ts). */
export type BreakClass =
  | "baggage-propagator-missing"
  | "headers-not-forwarded"
  | "baggage-overwritten"
  | "tag-truncated"
  | "correlation-context"
  | "tag-unreadable"
  | "percent-decoded"
  | "tag-duplicated"
  | "async-boundary";

/** How sure: `confirmed` by something that names the caller, `probable` by counting, else `suspected`. */
export type Confidence = "confirmed" | "probable" | "suspected";

/** By which rule: see the README of verify. */
export type Rule = "R1" | "R2" | "R3" | "R4" | "R5" | "R6";

/** One place where the tag is lost. */
export interface Finding {
  /** Who lost it; several where they cannot be told apart. */
  readonly from: readonly string[];
  readonly to: string;
  readonly state: Exclude<EdgeState, "propagates" | "not-seen">;
  readonly class: BreakClass;
  readonly confidence: Confidence;
  readonly rule: Rule;
  /** In how many of the judged requests that met the caller. */
  readonly seen: number;
  readonly of: number;
  /** The client library by its `user-agent`; null where it does not say. */
  readonly client: string | null;
  /** What was seen, what follows from it, and what to do: a sentence each. */
  readonly what: string;
  readonly effect: string;
  readonly fix: string;
}

/** How one edge fares, over all judged requests. */
export interface EdgeReport extends Edge {
  readonly state: EdgeState;
  /** Tagged requests that arrived, and requests that lost their tag. */
  readonly arrived: number;
  readonly lost: number;
}

/** What the judge says. */
export interface PropagationVerdict {
  readonly verdict: "healthy" | "broken" | "inconclusive";
  /** Tagged requests that were judged. */
  readonly requests: number;
  /** The first hop that lost the tag first. */
  readonly findings: readonly Finding[];
  /** What is worth knowing and no fault. */
  readonly notes: readonly string[];
  readonly edges: readonly EdgeReport[];
  /** Why the evidence does not suffice; without a finding this makes the verdict inconclusive. */
  readonly incomplete: readonly string[];
}
