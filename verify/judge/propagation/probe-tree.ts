import type { Observation } from "../../../core/observation.ts";
import type { Edge, JudgedHop, PropagationEvidence } from "./evidence.ts";

/** One tagged exchange at one workload: what the proxies that saw it said, merged. */
export interface TaggedNode {
  readonly hop: string;
  readonly parent: string | null;
  readonly workload: string;
  readonly tag: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly durationMs: number;
  /** The sandbox whose fork served it; null: the baseline did, or a fork without a proxy. */
  readonly sandbox: string | null;
  /** Who had lost the tag before the caller's proxy gave it back, and from what; null: nobody. */
  readonly healed: { readonly from: string; readonly by: "sandbox" | "affinity" } | null;
  /** 0 at the entry; hops whose caller is missing stand there too. */
  readonly depth: number;
}

/** One judged request: its tagged hops, and what was observed of it beside them. */
export interface ProbeTree {
  readonly root: string;
  readonly nodes: readonly TaggedNode[];
  readonly byHop: ReadonlyMap<string, TaggedNode>;
  /** Nodes that nobody's hop caused: where tagged requests came in. */
  readonly entries: readonly TaggedNode[];
  /** Observations that carry its mark or one of its trace ids. */
  readonly observed: readonly Observation[];
}

/** Builds the tree of each judged request, and tells which observations are of none of them. */
export function buildTrees(evidence: PropagationEvidence): {
  readonly trees: readonly ProbeTree[];
  readonly strangers: readonly Observation[];
} {
  const hops = evidence.hops.toSorted(inOrder);
  const observations = evidence.observations.toSorted(inOrder);
  const strangers = new Set(observations);
  const trees = [...new Set(evidence.roots)].toSorted().map((root) => {
    const own = hops.filter((hop) => hop.root === root);
    const traceIds = new Set(own.map((hop) => hop.traceId).filter((id) => id !== null));
    const sameTrace = (traceId: string | null) => traceId !== null && traceIds.has(traceId);
    // A hop that lost the mark and kept the tag began a root of its own: the tag did arrive.
    const all = [...own, ...hops.filter((hop) => hop.root !== root && sameTrace(hop.traceId))];
    const nodes = withDepth(mergeHops(all));
    const observed = observations.filter((one) => one.root === root || sameTrace(one.traceId));
    for (const one of observed) strangers.delete(one);
    const byHop = new Map(nodes.map((node) => [node.hop, node]));
    return { root, nodes, byHop, entries: nodes.filter(({ parent }) => parent === null), observed };
  });
  return { trees: trees.filter(({ nodes }) => nodes.length > 0), strangers: [...strangers] };
}

/** Edges that tagged requests took, each once, in order. */
export function edgesOf(
  hops: readonly Pick<JudgedHop, "root" | "hop" | "parent" | "workload">[],
): Edge[] {
  const workloads = new Map(hops.map((hop) => [`${hop.root} ${hop.hop}`, hop.workload]));
  const edges = new Map<string, Edge>();
  for (const { root, parent, workload } of hops) {
    const from = parent === null ? undefined : workloads.get(`${root} ${parent}`);
    if (from === undefined || from === workload) continue;
    edges.set(`${from} ${workload}`, { from, to: workload });
  }
  return [...edges.keys()].toSorted().flatMap((name) => edges.get(name) ?? []);
}

/** Edges that one judged request took. */
export function edgesIn({ root, nodes }: ProbeTree): Edge[] {
  return edgesOf(nodes.map((node) => ({ ...node, root })));
}

function inOrder(a: JudgedHop | Observation, b: JudgedHop | Observation): number {
  return a.timeMs - b.timeMs || compareText(JSON.stringify(a), JSON.stringify(b));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

type Bare = Omit<TaggedNode, "depth">;

/** The caller's proxy, the baseline's and the fork's record the same hop: one node, from the earlier to the later. */
function mergeHops(hops: readonly JudgedHop[]): Bare[] {
  const groups = Map.groupBy(hops, (hop) => `${hop.hop} ${hop.workload}`);
  return [...groups.values()].map((records) => {
    const [first] = records;
    const decider = records.find((record) => record.sandbox === null) ?? first;
    if (first === undefined || decider === undefined) throw new Error("a group has a member");
    const endMs = Math.max(...records.map((record) => record.timeMs + record.totalMs));
    return {
      hop: decider.hop,
      // A fork's own proxy knows none.
      parent: records.find(({ parent }) => parent !== null)?.parent ?? null,
      workload: decider.workload,
      tag: decider.tag,
      startMs: first.timeMs,
      endMs,
      durationMs: Math.max(...records.map((record) => record.totalMs)),
      // The caller's proxy may stand next to a fork, which is another's.
      sandbox: records.find((one) => one.mode !== "outbound" && one.sandbox)?.sandbox ?? null,
      healed: healedIn(records),
    };
  });
}

/** The caller's proxy names its own workload as the caller. */
function healedIn(records: readonly JudgedHop[]): TaggedNode["healed"] {
  for (const { healed, caller } of records) {
    if (healed && caller !== null) return { from: caller, by: healed };
  }
  return null;
}

function withDepth(nodes: readonly Bare[]): TaggedNode[] {
  const byHop = new Map(nodes.map((node) => [node.hop, node]));
  return nodes.map((node) => ({ ...node, depth: depthOf(node, byHop) }));
}

/** A circle of parents, which no honest proxy makes, ends at the number of nodes. */
function depthOf(node: Bare, byHop: ReadonlyMap<string, Bare>): number {
  let depth = 0;
  let at: Bare | undefined = node;
  while (at !== undefined && at.parent !== null && depth <= byHop.size) {
    at = byHop.get(at.parent);
    if (at !== undefined) depth++;
  }
  return depth;
}
