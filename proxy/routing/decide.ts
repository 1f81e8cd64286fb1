import { CONTROL_ARM_SUFFIX } from "../../core/routing-key.ts";
import {
  BASELINE_NO_KEY,
  BASELINE_TAG_UNREADABLE,
  baselineDecision,
  type Decision,
  forkDownDecision,
  REFUSED_TAG_UNREADABLE,
  refusedDecision,
} from "./decision.ts";
import type { WorkloadTable } from "./table.ts";
import type { Tag, TagKey } from "./tag.ts";

/**
 * Decides where an exchange goes: the one place, for the proxy, the API's explain and the CLI.
 *
 * Before: routing/tag.ts, routing/table.ts. After: exchange/exchange.ts.
 * Invariants: pure and total; an untagged request never goes to a fork; a key reaches its own forks
 * only; a strict tag never goes to the baseline because something was not known.
 * Hot path: once per exchange. It answers decisions that exist already; a refusal, the control arm
 * and a collision make one.
 */
export function decide(table: WorkloadTable, tag: Tag): Decision {
  if (tag.kind === "none") return BASELINE_NO_KEY;
  if (tag.strict && tag.ambiguous) return refusedDecision("tag-ambiguous", firstName(tag));
  if (tag.kind === "unreadable") {
    return tag.strict ? REFUSED_TAG_UNREADABLE : BASELINE_TAG_UNREADABLE;
  }
  if (table.state === "unknown") return decideWithoutTable(tag);
  if (tag.strict) {
    const missing = firstMissing(table, tag.keys);
    if (missing !== null) return refuseMissing(table, missing);
  }
  return decideFork(table, tag.keys) ?? decideBaseline(table, tag.keys);
}

/**
 * Decides for a fork's own proxy, which never picks an endpoint: `fork` if this tag leads to
 * `sandbox`, whose fork it stands next to, otherwise refused as `wrong-fork`, untagged included.
 */
export function decideAtFork(table: WorkloadTable, tag: Tag, sandbox: string): Decision {
  const decision = decide(table, tag);
  const { route } = decision;
  if (route?.sandbox !== sandbox) return refusedDecision("wrong-fork", firstName(tag));
  if (decision.outcome === "fork") return decision;
  // That the table has no endpoint of the fork is no reason here: the request has arrived at it.
  return { ...decision, outcome: "fork", reason: "fork", status: 0 };
}

/** What becomes of a decision whose fork cannot be reached: its sandbox's policy applies. */
export function forkDown(decision: Decision): Decision {
  return decision.route === null ? decision : forkDownDecision(decision, decision.route);
}

/** The decision of a proxy that meets its own mark. */
export const LOOP: Decision = refusedDecision("loop", null);

function decideWithoutTable(tag: Tag): Decision {
  const key = firstName(tag) ?? "";
  return tag.strict
    ? refusedDecision("table-unknown", key)
    : baselineDecision("table-unknown", key);
}

/** The first key that has a fork here decides, with its own policy; null if none has. */
function decideFork(table: WorkloadTable, keys: readonly TagKey[]): Decision | null {
  let first: Decision | null = null;
  for (const { key, base } of keys) {
    const decision = base ? undefined : table.routes.get(key);
    if (decision === undefined) continue;
    if (first === null) first = decision;
    // Two keys may lead to one fork (a sandbox's own and its group's): that is no collision.
    else if (decision.route?.sandbox !== first.route?.sandbox) return { ...first, collision: key };
  }
  return first;
}

/** No fork here: the first key that is not known is the reason, else that none forks this workload. */
function decideBaseline(table: WorkloadTable, keys: readonly TagKey[]): Decision {
  const missing = firstMissing(table, keys);
  if (missing === null) return baselineDecision("not-forked", nameOf(keys[0]));
  const reason = table.expired.has(missing.key) ? "expired" : "unknown-key";
  return baselineDecision(reason, nameOf(missing));
}

function refuseMissing(table: WorkloadTable, missing: TagKey): Decision {
  const name = nameOf(missing);
  if (table.expired.has(missing.key)) return refusedDecision("expired", name);
  return refusedDecision(table.state === "stale" ? "table-stale" : "unknown-key", name);
}

function firstMissing(table: WorkloadTable, keys: readonly TagKey[]): TagKey | null {
  for (const tagKey of keys) {
    if (!table.known.has(tagKey.key) && !table.routes.has(tagKey.key)) return tagKey;
  }
  return null;
}

function firstName(tag: Tag): string | null {
  return tag.keys.length === 0 ? null : nameOf(tag.keys[0]);
}

/** The key as the tag names it, so that the control arm is told from its fork. */
function nameOf(tagKey: TagKey | undefined): string {
  if (tagKey === undefined) return "";
  return tagKey.base ? `${tagKey.key}${CONTROL_ARM_SUFFIX}` : tagKey.key;
}
