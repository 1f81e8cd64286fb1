import type { Observation, TagState } from "../../../core/observation.ts";
import { type Blame, blame, type Knowledge } from "./blame.ts";
import type { BreakClass, Confidence, Rule } from "./evidence.ts";
import type { ProbeTree, TaggedNode } from "./probe-tree.ts";

/** One request on one edge that lost its tag; findings are made of all of an edge (findings.ts). */
export interface Loss {
  readonly root: string;
  /** Workloads that may have lost it. */
  readonly from: readonly string[];
  /** Those of them that displace their own callers (blame.ts). */
  readonly beyondDoubt: readonly string[];
  /** How sure it is that one of them did. */
  readonly confidence: Confidence;
  readonly to: string;
  readonly class: BreakClass;
  readonly rule: Rule;
  readonly client: string | null;
}

/** What one look at the evidence comes to. */
export interface Seen {
  readonly losses: readonly Loss[];
  /** No fault: a sentence each. */
  readonly notes: readonly string[];
  /** Lost by somebody who cannot be named: a sentence each. */
  readonly unclear: readonly string[];
}

/** Several looks as one. */
export function allSeen(seen: readonly Seen[]): Seen {
  return {
    losses: seen.flatMap(({ losses }) => losses),
    notes: seen.flatMap(({ notes }) => notes),
    unclear: seen.flatMap(({ unclear }) => unclear),
  };
}

/** R5 on the hops themselves: a callee that read another tag than its caller had. */
export function changedTags(trees: readonly ProbeTree[]): Loss[] {
  return trees.flatMap((tree) =>
    tree.nodes.flatMap((node): Loss[] => {
      const parent = node.parent === null ? undefined : tree.byHop.get(node.parent);
      // What was given back may be less than what was lost, and is no second loss.
      if (parent === undefined || parent.tag === node.tag || node.healed !== null) return [];
      return [
        {
          root: tree.root,
          from: [parent.workload],
          beyondDoubt: [parent.workload],
          confidence: "confirmed",
          to: node.workload,
          class: parent.tag.startsWith(node.tag) ? "tag-truncated" : "tag-unreadable",
          rule: "R5",
          client: null,
        },
      ];
    }),
  );
}

/** R5 on tagged exchanges: what the first hop that shows it says of the caller that its mark names. */
export function marksOf(
  trees: readonly ProbeTree[],
  isMeant: (one: Observation) => boolean,
): Loss[] {
  return trees.flatMap((tree) => {
    const meant = tree.observed.filter(isMeant);
    return meant.flatMap((one): Loss[] => {
      const parent = one.parent === null ? undefined : tree.byHop.get(one.parent);
      const cameSo = meant.some((other) => other.state === one.state && other.hop === one.parent);
      if (parent === undefined || cameSo) return [];
      return [lossOf(tree, [parent], one, "R5")];
    });
  });
}

/** R2, R5 and R6: exchanges without the tag that a mark or a trace id ties to a judged request. */
export function tracedLosses(
  trees: readonly ProbeTree[],
  isLost: (one: Observation) => boolean,
  knowledge: Knowledge,
): Seen {
  return allSeen(trees.map((tree) => tracedIn(tree, tree.observed.filter(isLost), knowledge)));
}

function tracedIn(tree: ProbeTree, lost: readonly Observation[], knowledge: Knowledge): Seen {
  // An unreadable tag is in the hops too (changedTags), unless its mark was lost as well.
  const untagged = lost.filter((one) => one.hop === null || one.parent === null);
  const losses: Loss[] = [];
  const notes: string[] = [];
  const unclear: string[] = [];
  for (const one of untagged) {
    const marked = one.parent === null ? undefined : tree.byHop.get(one.parent);
    const found = blame(one, tree, untagged, knowledge);
    if (marked !== undefined) losses.push(lossOf(tree, [marked], one, "R5"));
    else if (found.kind === "callers") losses.push(tracedLoss(tree, found, one));
    else if (found.kind === "earlier") notes.push(`${came(one)} before it: it was sent so`);
    else if (found.kind === "unclear") unclear.push(`${came(one)}, ${found.by}`);
  }
  const [first] = untagged;
  // Calls that seem to have made each other in a circle.
  if (first !== undefined && losses.length + notes.length + unclear.length === 0) {
    unclear.push(`${came(first)}, by nobody who is known`);
  }
  return { losses, notes, unclear };
}

function came({ workload }: Observation): string {
  return `${workload} was called without the tag in the trace of a tagged request`;
}

function tracedLoss(
  tree: ProbeTree,
  found: Extract<Blame, { kind: "callers" }>,
  one: Observation,
): Loss {
  const { nodes, beyondDoubt, confidence, isAsync } = found;
  const loss = {
    ...lossOf(tree, nodes, one, ruleOf(one.state)),
    beyondDoubt: workloadsOf(beyondDoubt),
    confidence,
  };
  return isAsync ? { ...loss, rule: "R6", class: "async-boundary" } : loss;
}

function ruleOf(state: TagState): Rule {
  return state === "absent" || state === "other-baggage" ? "R2" : "R5";
}

const CLASS_OF: Readonly<Record<Exclude<TagState, "spaces">, BreakClass>> = {
  absent: "baggage-propagator-missing",
  "other-baggage": "baggage-overwritten",
  truncated: "tag-truncated",
  "correlation-context": "correlation-context",
  unreadable: "tag-unreadable",
  "percent-decoded": "percent-decoded",
  duplicated: "tag-duplicated",
};

/** The cause that a state shows; where no trace id came along either, nothing was forwarded. */
export function classOf(state: TagState, hasTrace: boolean): BreakClass {
  if (state === "spaces") return "baggage-propagator-missing";
  return state === "absent" && !hasTrace ? "headers-not-forwarded" : CLASS_OF[state];
}

function lossOf(tree: ProbeTree, nodes: readonly TaggedNode[], one: Observation, rule: Rule): Loss {
  return {
    root: tree.root,
    from: workloadsOf(nodes),
    beyondDoubt: workloadsOf(nodes),
    confidence: "confirmed",
    to: one.workload,
    class: classOf(one.state, one.traceId !== null),
    rule,
    client: one.client,
  };
}

/** The workloads of nodes, each once. */
export function workloadsOf(nodes: readonly TaggedNode[]): string[] {
  return [...new Set(nodes.map((node) => node.workload))];
}
