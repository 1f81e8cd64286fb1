import type { Observation } from "../../../core/observation.ts";
import type { Edge, PropagationEvidence } from "./evidence.ts";
import type { ProbeTree, TaggedNode } from "./probe-tree.ts";

/**
 * Who may have made a call that came without its tag: workloads, with what speaks for each.
 *
 * Strongest first: the address, where each service has its own; who is known to call it; who was at
 * work around it. `lost-before` means that an untagged call made it: the tag was lost further up.
 */
export type Blame =
  | { readonly kind: "lost-before" }
  | {
      readonly kind: "callers";
      readonly nodes: readonly TaggedNode[];
      /** Those of them that were at work around it however the clocks were rounded. */
      readonly beyondDoubt: readonly TaggedNode[];
      /** By address or as a known caller; otherwise only by its time. */
      readonly isNamed: boolean;
      /** The callers had answered by then. */
      readonly isAsync: boolean;
    };

/** Times are whole milliseconds, rounded from two clocks: two of one machine are up to this far apart. */
const TOLERANCE_MS = 2;

/** Blames for one observation of one judged request. `untagged` are its other untagged calls. */
export function blame(
  observation: Observation,
  tree: ProbeTree,
  untagged: readonly Observation[],
  knowledge: Knowledge,
): Blame {
  const { nodes, isNamed } = candidates(observation, tree, knowledge);
  const isMadeByOther = untagged.some((one) => causes(one, observation, knowledge.expected));
  if (!isNamed && isMadeByOther) return { kind: "lost-before" };
  const around = nodes.filter((node) => isAround(node, observation));
  const ended = nodes.filter((node) => hasEnded(node, observation));
  const isAsync = around.length === 0 && ended.length > 0;
  const possible = isAsync ? ended : around;
  const beyondDoubt = surelyAround(possible, observation);
  return { kind: "callers", nodes: possible, beyondDoubt, isNamed, isAsync };
}

/** What is known beforehand. */
export type Knowledge = Pick<PropagationEvidence, "expected" | "places">;

/** Tagged exchanges that may have made a call, whatever their time; none if the caller is another. */
export function candidates(
  observation: Observation,
  tree: ProbeTree,
  { expected, places }: Knowledge,
): { readonly nodes: readonly TaggedNode[]; readonly isNamed: boolean } {
  const others = tree.nodes.filter((node) => node.workload !== observation.workload);
  const place = places.find(({ address }) => address === observation.caller);
  if (place !== undefined) {
    const there = others.filter((node) => node.workload === place.workload);
    return { nodes: there, isNamed: true };
  }
  const known = others.filter((node) => isExpected(expected, node.workload, observation.workload));
  return known.length > 0 ? { nodes: known, isNamed: true } : { nodes: others, isNamed: false };
}

/**
 * The innermost of those that stayed possible: a caller before the callers of that caller. Only one
 * `beyondDoubt` displaces them: a quick callee beside the lost one is soon around it by rounding.
 */
export function innermost(
  candidates: readonly string[],
  beyondDoubt: readonly string[],
  trees: readonly ProbeTree[],
): string[] {
  const above = new Set<string>();
  for (const tree of trees) {
    for (const node of tree.nodes.filter((each) => beyondDoubt.includes(each.workload))) {
      for (const ancestor of ancestorsOf(node, tree)) {
        if (ancestor.workload !== node.workload) above.add(ancestor.workload);
      }
    }
  }
  const inner = candidates.filter((workload) => !above.has(workload));
  return inner.length > 0 ? inner : [...candidates];
}

/** Tells whether an exchange was under way for as long as a call lasted. */
export function isAround(
  outer: { readonly startMs: number; readonly endMs: number; readonly durationMs: number },
  inner: Observation,
  toleranceMs = TOLERANCE_MS,
): boolean {
  return (
    outer.startMs <= inner.timeMs + toleranceMs &&
    outer.endMs >= inner.timeMs + inner.totalMs - toleranceMs &&
    outer.durationMs >= inner.totalMs
  );
}

/** Those that were under way around a call however their times were rounded. */
export function surelyAround(nodes: readonly TaggedNode[], inner: Observation): TaggedNode[] {
  return nodes.filter((node) => isAround(node, inner, -TOLERANCE_MS));
}

/** An observation as an interval. */
function intervalOf(one: Observation): {
  startMs: number;
  endMs: number;
  durationMs: number;
} {
  return { startMs: one.timeMs, endMs: one.timeMs + one.totalMs, durationMs: one.totalMs };
}

function ancestorsOf(node: TaggedNode, tree: ProbeTree): TaggedNode[] {
  const ancestors: TaggedNode[] = [];
  let at = node.parent === null ? undefined : tree.byHop.get(node.parent);
  while (at !== undefined && ancestors.length <= tree.nodes.length) {
    ancestors.push(at);
    at = at.parent === null ? undefined : tree.byHop.get(at.parent);
  }
  return ancestors;
}

/** Tells whether earlier requests went this way. */
export function isExpected(expected: readonly Edge[], from: string, to: string): boolean {
  return expected.some((edge) => edge.from === from && edge.to === to);
}

/** An untagged call that was under way around another one, and may have made it. */
export function causes(outer: Observation, inner: Observation, expected: readonly Edge[]): boolean {
  if (outer === inner || outer.workload === inner.workload) return false;
  if (isExpected(expected, outer.workload, inner.workload)) return true;
  if (isExpected(expected, inner.workload, outer.workload)) return false;
  return isAround(intervalOf(outer), inner) && !isAround(intervalOf(inner), outer);
}

function hasEnded(node: TaggedNode, observation: Observation): boolean {
  return node.endMs <= observation.timeMs;
}
