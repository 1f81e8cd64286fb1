/**
 * Builds the tree of hops that one request took, out of what the proxies recorded.
 *
 * Before: evidence/evidence.ts. After: routes/traces.ts, routes/probes.ts. Pure.
 * Invariant: a hop is placed by the id of its parent alone, never by time, so that parallel calls
 * cannot be mistaken for one another.
 */
import type { HopRecord } from "../../core/hop-record.ts";
import type { HopDocument, TraceDocument } from "../schema/hop.ts";

/** Why a trace is not complete. */
export type Incomplete = TraceDocument["incomplete"][number];

/** Names the sandbox whose fork a key leads to at a workload; null if none does. */
export type SandboxOf = (workload: string, key: string) => string | null;

/** The hops of one root, in the order of the tree, and what is missing of it. */
export interface HopTree {
  readonly hops: readonly HopDocument[];
  readonly incomplete: readonly Incomplete[];
}

/** A hop before it has its place. */
type LooseHop = Omit<HopDocument, "depth">;

/** Merges the records of each hop and puts the hops into order, depth first. */
export function buildHops(records: readonly HopRecord[], sandboxOf: SandboxOf): HopTree {
  const incomplete: Incomplete[] = [];
  const hops: LooseHop[] = [];
  for (const group of groupsOf(records)) {
    const merged = mergeHop(group, sandboxOf);
    if (merged.ambiguous !== null) incomplete.push(merged.ambiguous);
    hops.push(...merged.hops);
  }
  hops.sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)));
  const placed = place(hops);
  return { hops: placed.hops, incomplete: [...incomplete, ...placed.incomplete] };
}

function groupsOf(records: readonly HopRecord[]): Iterable<readonly HopRecord[]> {
  const groups = new Map<string, HopRecord[]>();
  for (const record of records) {
    groups.set(record.hop, [...(groups.get(record.hop) ?? []), record]);
  }
  return groups.values();
}

/**
 * One hop may have three records: of the caller's outbound proxy, of the baseline's proxy, which
 * decides, and of the fork's own proxy, which proves that the fork's side got it. Of a call that was
 * sent once more each may have two: the last one counts.
 */
function mergeHop(
  records: readonly HopRecord[],
  sandboxOf: SandboxOf,
): { hops: LooseHop[]; ambiguous: Incomplete | null } {
  const workloads = new Set(records.map((record) => record.workload));
  const hops: LooseHop[] = [];
  for (const workload of workloads) {
    const own = records
      .filter((record) => record.workload === workload)
      .toSorted((a, b) => b.timeMs - a.timeMs);
    const decider = own.toSorted((a, b) => rankOf(a) - rankOf(b))[0];
    if (decider !== undefined) hops.push(hopOf(decider, own, sandboxOf));
  }
  if (workloads.size === 1) return { hops, ambiguous: null };
  const detail = `${[...workloads].join(" and ")} both recorded hop ${records[0]?.hop ?? ""}`;
  return { hops, ambiguous: { code: "hop-ambiguous", detail } };
}

/** The callee's own proxy decides last. A caller's may stand next to a fork, which is another's. */
function rankOf(record: HopRecord): number {
  if (record.mode === "outbound") return 1;
  return record.sandbox === null ? 0 : 2;
}

function forkRecordOf(records: readonly HopRecord[], decider: HopRecord): HopRecord | null {
  if (isAtFork(decider)) return decider;
  return records.find(isAtFork) ?? null;
}

function isAtFork(record: HopRecord): boolean {
  return record.sandbox !== null && record.mode !== "outbound";
}

function hopOf(decider: HopRecord, own: readonly HopRecord[], sandboxOf: SandboxOf): LooseHop {
  const atFork = forkRecordOf(own, decider);
  const isFork = decider.outcome === "fork";
  const sandbox = atFork?.sandbox ?? sandboxOf(decider.workload, decider.key);
  return {
    hop: decider.hop,
    parent: decider.parent,
    workload: decider.workload,
    key: decider.key,
    tag: decider.tag,
    healed: own.find((record) => record.healed)?.healed ?? null,
    outcome: decider.outcome,
    reason: decider.reason,
    sandbox: isFork || decider.reason === "fork-down" ? sandbox : null,
    endpoint: decider.endpoint,
    confirmed: isFork && atFork?.outcome === "fork",
    status: decider.status,
    fault: decider.fault,
    caller: decider.caller,
    proxy: decider.proxy,
    forkProxy: atFork?.proxy ?? null,
    mode: decider.mode,
    revision: decider.revision,
    traceId: decider.traceId,
    protocol: decider.protocol,
    at: timeText(decider.timeMs),
    requestBytes: decider.requestBytes,
    responseBytes: decider.responseBytes,
    ttfbMs: decider.ttfbMs,
    totalMs: decider.totalMs,
    attempt: decider.attempt,
    closedBy: decider.closedBy,
  };
}

/** Times come from other machines: one that is no date becomes the first one there is. */
function timeText(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}

/** Hops without a parent first, then those whose parent is missing, each with what is below it. */
function place(hops: readonly LooseHop[]): HopTree {
  const ids = new Set(hops.map((hop) => hop.hop));
  const children = new Map<string, LooseHop[]>();
  for (const hop of hops) {
    if (hop.parent === null) continue;
    children.set(hop.parent, [...(children.get(hop.parent) ?? []), hop]);
  }
  const placed: HopDocument[] = [];
  const visited = new Set<LooseHop>();
  const visit = (hop: LooseHop, depth: number): void => {
    if (visited.has(hop)) return;
    visited.add(hop);
    placed.push({ ...hop, depth });
    for (const child of children.get(hop.hop) ?? []) visit(child, depth + 1);
  };
  const entries = hops.filter((hop) => hop.parent === null);
  const lost = hops.filter((hop) => hop.parent !== null && !ids.has(hop.parent));
  for (const hop of [...entries, ...lost, ...hops]) visit(hop, 0);
  return { hops: placed, incomplete: [...missingParents(lost), ...strayForks(entries)] };
}

function missingParents(lost: readonly LooseHop[]): Incomplete[] {
  return lost.map((hop) => ({
    code: "parent-missing",
    detail: `the hop that called ${hop.workload} (${hop.parent ?? ""}) is not recorded`,
  }));
}

/** A fork's own proxy does not know the parent: beside another entry, the baseline's record is missing. */
function strayForks(entries: readonly LooseHop[]): Incomplete[] {
  if (entries.length < 2) return [];
  return entries
    .filter((hop) => hop.forkProxy === hop.proxy)
    .map((hop) => ({
      code: "parent-missing",
      detail: `only the fork's own proxy recorded the hop at ${hop.workload}`,
    }));
}
