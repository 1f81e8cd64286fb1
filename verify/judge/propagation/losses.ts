import type { Observation, TagState } from "../../../core/observation.ts";
import { type Blame, blame, type Knowledge } from "./blame.ts";
import type { BreakClass, Rule } from "./evidence.ts";
import type { ProbeTree, TaggedNode } from "./probe-tree.ts";

/** One request on one edge that lost its tag; findings are made of all of an edge (findings.ts). */
export interface Loss {
  readonly root: string;
  /** Workloads that may have lost it. */
  readonly from: readonly string[];
  /** Those of them that displace their own callers (blame.ts). */
  readonly beyondDoubt: readonly string[];
  /** By its mark, its address or as a known caller; otherwise only by its time. */
  readonly isNamed: boolean;
  readonly to: string;
  readonly class: BreakClass;
  readonly rule: Rule;
  readonly client: string | null;
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
          isNamed: true,
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
): Loss[] {
  return trees.flatMap((tree) => {
    // An unreadable tag is in the hops too (changedTags), unless its mark was lost as well.
    const untagged = tree.observed.filter(
      (one) => isLost(one) && (one.hop === null || one.parent === null),
    );
    return untagged.flatMap((one): Loss[] => {
      const marked = one.parent === null ? undefined : tree.byHop.get(one.parent);
      if (marked !== undefined) return [lossOf(tree, [marked], one, "R5")];
      return lossesOf(blame(one, tree, untagged, knowledge), tree, one);
    });
  });
}

function lossesOf(found: Blame, tree: ProbeTree, one: Observation): Loss[] {
  if (found.kind === "lost-before" || found.nodes.length === 0) return [];
  const loss = {
    ...lossOf(tree, found.nodes, one, ruleOf(one.state)),
    beyondDoubt: workloadsOf(found.beyondDoubt),
    isNamed: found.isNamed,
  };
  return [found.isAsync ? { ...loss, rule: "R6", class: "async-boundary" } : loss];
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
    isNamed: true,
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
