/**
 * Says whether a sandbox or route group is ready, and if not, what is missing.
 *
 * Before: watch/readiness.ts. Pure: proxies and versions in, conditions out.
 */
import type { EndpointCheck } from "../../core/proxy-status.ts";
import type { ControlLimits } from "./limits.ts";

/** A proxy as far as readiness goes. */
export interface ProxyView {
  readonly instance: string;
  /** Workloads that it stands next to; it may be asked of others, to which it routes calls. */
  readonly workloads: readonly string[];
  readonly mode: "inbound" | "outbound" | "edge";
  /** The sandbox whose fork it stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  /** Its lease and the grace after it run. */
  readonly counts: boolean;
  /** Version of the table that all its workers have applied; -1 if one has none of this store. */
  readonly appliedVersion: number;
  readonly endpoints: Readonly<Record<string, EndpointCheck>>;
}

/** Where the proxies are found. */
export interface ProxyViews {
  of(workload: string): Iterable<ProxyView>;
  all(): Iterable<ProxyView>;
}

/** What the proxies must have applied. */
export interface ReadyQuestion {
  /** Endpoints of each forked workload. */
  readonly forks: ReadonlyMap<string, readonly string[]>;
  /** Version that proxies of a workload need; also of workloads that are forked no longer. */
  readonly routeVersions: ReadonlyMap<string, number>;
  /** Version since which the key is known: what every other proxy needs. */
  readonly keyVersion: number;
  /** Time since the last write that the other proxies were told of. */
  readonly sinceWriteMs: number;
  /** Members that a route group names and that do not exist. */
  readonly missing: readonly string[];
  /** More members than a route group may have are selected. */
  readonly hasTooManyMembers: boolean;
}

/** One condition of readiness. */
export interface Condition {
  readonly type: "Applied" | "Available";
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
}

/** The answer. */
export interface Readiness {
  readonly ready: boolean;
  readonly conditions: readonly [Condition, Condition];
  /** Proxies that may not know the present state, at most `namedProxiesMax`. */
  readonly unconfirmed: readonly string[];
}

/** Looks at every proxy concerned; a silent one is never taken for one that applied. */
export function readinessOf(
  question: ReadyQuestion,
  proxies: ProxyViews,
  limits: ControlLimits,
): Readiness {
  const unconfirmed = new Set<string>();
  const applied = appliedCondition(question, proxies, limits, unconfirmed);
  const available = availableCondition(question, proxies);
  return {
    ready: applied.status === "True" && available.status === "True",
    conditions: [applied, available],
    unconfirmed: [...unconfirmed].slice(0, limits.namedProxiesMax),
  };
}

function appliedCondition(
  question: ReadyQuestion,
  proxies: ProxyViews,
  limits: ControlLimits,
  unconfirmed: Set<string>,
): Condition {
  const membership = membershipProblem(question);
  if (membership !== null) return membership;
  const uncovered = [...question.forks.keys()].filter((workload) => !isCovered(workload, proxies));
  const behind = behindOnRoutes(question, proxies, unconfirmed);
  if (uncovered.length > 0) {
    return applied("False", "NoProxy", `no proxy stands at the baseline of ${named(uncovered)}`);
  }
  if (behind.length > 0) {
    return applied("False", "NotApplied", `waiting for ${named(behind)} to apply the table`);
  }
  const others = othersBehind(question, proxies);
  if (others.length > 0 && question.sinceWriteMs < limits.otherProxiesMs) {
    return applied("False", "KeyNotApplied", `waiting for ${named(others)} to know the key`);
  }
  for (const instance of others) unconfirmed.add(instance);
  return applied("True", "Applied", "every proxy of the forked workloads has applied it");
}

function membershipProblem(question: ReadyQuestion): Condition | null {
  if (question.missing.length > 0) {
    return applied("False", "MemberMissing", `there is no sandbox ${named(question.missing)}`);
  }
  if (question.hasTooManyMembers) {
    return applied("False", "TooManyMembers", "the selector finds more members than are allowed");
  }
  return null;
}

/** An outbound proxy is only a shortcut: the workload's own proxy decides last. */
function isCovered(workload: string, proxies: ProxyViews): boolean {
  for (const proxy of proxies.of(workload)) if (isAtBaseline(proxy, workload)) return true;
  return false;
}

function isAtBaseline(proxy: ProxyView, workload: string): boolean {
  const isThere = proxy.mode !== "outbound" && proxy.workloads.includes(workload);
  return proxy.counts && proxy.sandbox === null && isThere;
}

function behindOnRoutes(
  question: ReadyQuestion,
  proxies: ProxyViews,
  unconfirmed: Set<string>,
): string[] {
  const behind = new Set<string>();
  for (const [workload, version] of question.routeVersions) {
    for (const proxy of proxies.of(workload)) {
      if (proxy.appliedVersion >= version) continue;
      if (proxy.counts) behind.add(proxy.instance);
      else unconfirmed.add(proxy.instance);
    }
  }
  return [...behind];
}

/** The rest must know the key, or a strict tag would be refused where it passes them. */
function othersBehind(question: ReadyQuestion, proxies: ProxyViews): string[] {
  const others: string[] = [];
  for (const proxy of proxies.all()) {
    if (proxy.appliedVersion < question.keyVersion) others.push(proxy.instance);
  }
  return others;
}

function availableCondition(question: ReadyQuestion, proxies: ProxyViews): Condition {
  const unanswered: string[] = [];
  for (const [workload, endpoints] of question.forks) {
    const state = availability(workload, endpoints, proxies);
    if (state.status === "False") return state;
    if (state.status === "Unknown") unanswered.push(workload);
  }
  if (unanswered.length > 0) {
    const message = `no proxy has tried the fork of ${named(unanswered)} yet`;
    return available("Unknown", "NotTried", message);
  }
  return available("True", "Available", "a proxy at each baseline has reached the fork");
}

function availability(
  workload: string,
  endpoints: readonly string[],
  proxies: ProxyViews,
): Condition {
  if (endpoints.length === 0) {
    return available("False", "NoEndpoint", `the fork of ${workload} has no endpoint`);
  }
  let refusal: string | null = null;
  for (const proxy of proxies.of(workload)) {
    if (!isAtBaseline(proxy, workload)) continue;
    for (const endpoint of endpoints) {
      const check = Object.hasOwn(proxy.endpoints, endpoint)
        ? proxy.endpoints[endpoint]
        : undefined;
      if (check?.accepted === true) return available("True", "Available", "");
      if (check !== undefined) refusal = `${endpoint} (${check.fault ?? "refused"})`;
    }
  }
  if (refusal === null) return available("Unknown", "NotTried", "");
  return available("False", "Refused", `the fork of ${workload} does not accept at ${refusal}`);
}

function applied(status: Condition["status"], reason: string, message: string): Condition {
  return { type: "Applied", status, reason, message };
}

function available(status: Condition["status"], reason: string, message: string): Condition {
  return { type: "Available", status, reason, message };
}

/** Names a few: a message is for people. */
function named(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
