import type { Observation } from "../../../core/observation.ts";
import type { Confidence, Edge, Place, PropagationEvidence } from "./evidence.ts";
import type { ProbeTree, TaggedNode } from "./probe-tree.ts";

/**
 * Who made a call that carries the trace id of a judged request and not its tag.
 *
 * Something lost the tag, so each call comes to one of these: never to nothing.
 */
export type Blame =
  /** An untagged call made it: the tag was lost further up. */
  | { readonly kind: "lost-before" }
  /** It came to the entry before the tagged request did: whoever sent both sent it untagged. */
  | { readonly kind: "earlier" }
  /** What is known names nobody; `by` goes on from "was called without the tag". */
  | { readonly kind: "unclear"; readonly by: string }
  | {
      readonly kind: "callers";
      readonly nodes: readonly TaggedNode[];
      /** Those of them that were at work around it however the clocks were rounded. */
      readonly beyondDoubt: readonly TaggedNode[];
      /** The callers had answered by then, by any clock. */
      readonly isAsync: boolean;
      readonly confidence: Confidence;
    };

/**
 * What speaks for a caller, strongest first: its own address; that it alone is known to call there, or
 * with others; that it was at work around the call.
 */
export type NamedBy = "address" | "only-caller" | "known-callers" | "time";

/** What is known beforehand. */
export type Knowledge = Pick<PropagationEvidence, "expected" | "places">;

/** Times are whole milliseconds, rounded from two clocks: two of one machine are up to this far apart. */
const TOLERANCE_MS = 2;

/** Clocks that are kept by NTP are rarely further apart: between two hosts only a longer gap is one. */
const SKEW_MS = 100;

/** Blames for one observation of one judged request. `untagged` are all its untagged calls. */
export function blame(
  call: Observation,
  tree: ProbeTree,
  untagged: readonly Observation[],
  knowledge: Knowledge,
): Blame {
  const { nodes, by } = candidates(call, tree, knowledge);
  const others = untagged.filter((one) => mayCause(one, call, by, knowledge));
  const isMadeByOther = others.some((one) => by === "time" || encloses(one, call));
  if (isMadeByOther || (nodes.length === 0 && others.length > 0)) return { kind: "lost-before" };
  const begun = nodes.filter((node) => hasBegun(node, call));
  const isAtEntry = tree.entries.some((entry) => entry.workload === call.workload);
  if (isAtEntry && by !== "address" && (by === "time" || begun.length === 0)) {
    return atEntry(call, tree, knowledge);
  }
  if (nodes.length === 0) return unseenCaller(call, knowledge);
  const slackMs = slackOf(call, knowledge);
  const isOpen = (one: Observation) =>
    begun.length === 0 || hasBegun(intervalOf(one), call, slackMs);
  if (others.some(isOpen)) {
    return { kind: "unclear", by: "by one who had the tag, or by one who had lost it" };
  }
  return callersOf(call, nodes, by, slackMs);
}

/** The client may have sent it so; and a service may have called back through the entry. */
function atEntry(call: Observation, tree: ProbeTree, knowledge: Knowledge): Blame {
  const entries = tree.entries.filter((entry) => entry.workload === call.workload);
  const endMs = call.timeMs + call.totalMs + slackOf(call, knowledge);
  return entries.every((entry) => endMs <= entry.startMs)
    ? { kind: "earlier" }
    : { kind: "unclear", by: "by whoever sent the tagged one, or by a service behind it" };
}

function unseenCaller(call: Observation, knowledge: Knowledge): Blame {
  const place = placeOf(call, knowledge);
  if (place === undefined) return { kind: "unclear", by: "by nobody who is known" };
  const who = place.sandboxes.length === 0 ? place.workload : `a fork of ${place.workload}`;
  return { kind: "unclear", by: `by ${who}, which the tag did not reach` };
}

/** Those whose time fits; all of them where it fits none, since clocks may differ. */
function callersOf(
  call: Observation,
  nodes: readonly TaggedNode[],
  by: NamedBy,
  slackMs: number,
): Blame {
  const around = nodes.filter((node) => isAround(node, call));
  const begun = nodes.filter((node) => hasBegun(node, call));
  const isAsync = nodes.every((node) => node.endMs + slackMs < call.timeMs);
  const fitting = [around, begun].find((some) => some.length > 0) ?? nodes;
  // Between two hosts, and for a call that outlived its caller, time says little of who that was.
  const isTold = slackMs === TOLERANCE_MS && (isAsync || around.length > 0);
  return {
    kind: "callers",
    nodes: fitting,
    beyondDoubt: surelyAround(fitting, call),
    isAsync,
    confidence: confidenceOf(by, by === "time" ? isTold : isAsync || begun.length > 0),
  };
}

/** An address names its caller at any time; whoever is known to call there needs a time that fits. */
function confidenceOf(by: NamedBy, isTimely: boolean): Confidence {
  switch (by) {
    case "address":
      return "confirmed";
    case "only-caller":
      return isTimely ? "confirmed" : "probable";
    case "known-callers":
      return isTimely ? "probable" : "suspected";
    case "time":
      return isTimely ? "probable" : "suspected";
  }
}

/** Tagged exchanges that may have made a call, whatever their time; none if the caller is another. */
export function candidates(
  call: Observation,
  tree: ProbeTree,
  knowledge: Knowledge,
): { readonly nodes: readonly TaggedNode[]; readonly by: NamedBy } {
  const place = placeOf(call, knowledge);
  if (place !== undefined) {
    return { nodes: tree.nodes.filter((node) => isServedAt(node, place)), by: "address" };
  }
  const others = tree.nodes.filter((node) => node.workload !== call.workload);
  const edges = knowledge.expected.filter(({ to }) => to === call.workload);
  const known = others.filter((node) => edges.some(({ from }) => from === node.workload));
  if (known.length === 0) return { nodes: others, by: "time" };
  if (known.every((node) => node.workload === known[0]?.workload)) {
    return { nodes: known, by: "only-caller" };
  }
  // The tag of the others came along on another call of theirs.
  const silent = known.filter((node) => !hasReached(node, call.workload, tree));
  return { nodes: silent.length > 0 ? silent : known, by: "known-callers" };
}

function hasReached({ hop }: TaggedNode, workload: string, tree: ProbeTree): boolean {
  return tree.nodes.some((node) => node.parent === hop && node.workload === workload);
}

/** Where a call came from, if only one workload stands at that address. */
export function placeOf(
  call: Observation,
  { places }: Pick<Knowledge, "places">,
): Place | undefined {
  return places.find(({ address }) => address === call.caller);
}

/** Tells whether a tagged exchange was one of those who stand at a place. */
export function isServedAt({ workload, sandbox }: TaggedNode, place: Place): boolean {
  if (workload !== place.workload) return false;
  return place.sandboxes.length === 0 || place.sandboxes.some((name) => name === sandbox);
}

/**
 * How far the times of a call and of its caller may be apart. Loopback is one host, unless the callee
 * is known to stand at an address of its own: then a sidecar of another kind stands between.
 */
export function slackOf(call: Observation, { places }: Pick<Knowledge, "places">): number {
  const isLoopback = call.caller === "127.0.0.1" || call.caller === "::1";
  const isPlaced = places.some(({ workload }) => workload === call.workload);
  return isLoopback && !isPlaced ? TOLERANCE_MS : SKEW_MS;
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

/** Tells whether a call began while an exchange was under way; it may have outlived it. */
export function hasBegun(
  outer: { readonly startMs: number; readonly endMs: number },
  inner: Observation,
  toleranceMs = TOLERANCE_MS,
): boolean {
  return outer.startMs <= inner.timeMs + toleranceMs && outer.endMs >= inner.timeMs - toleranceMs;
}

/** Those that were under way around a call however their times were rounded. */
export function surelyAround(nodes: readonly TaggedNode[], inner: Observation): TaggedNode[] {
  return nodes.filter((node) => isAround(node, inner, -TOLERANCE_MS));
}

/** Tells whether an untagged exchange was under way around a call, and not the call around it. */
export function encloses(outer: Observation, inner: Observation): boolean {
  if (outer === inner) return false;
  return isAround(intervalOf(outer), inner) && !isAround(intervalOf(inner), outer);
}

function intervalOf(one: Observation): { startMs: number; endMs: number; durationMs: number } {
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

/** Tells whether an untagged call is one of those that may have made another one, by the same measure. */
function mayCause(
  outer: Observation,
  call: Observation,
  by: NamedBy,
  knowledge: Knowledge,
): boolean {
  if (outer === call) return false;
  if (by === "address") return outer.workload === placeOf(call, knowledge)?.workload;
  if (by === "time") return causes(outer, call, knowledge.expected);
  return isExpected(knowledge.expected, outer.workload, call.workload);
}

/** An untagged call that may have made another one: as its known caller, or by its time. */
export function causes(outer: Observation, inner: Observation, expected: readonly Edge[]): boolean {
  if (outer.workload === inner.workload) return false;
  const isCaller = isExpected(expected, outer.workload, inner.workload);
  const isCallee = isExpected(expected, inner.workload, outer.workload);
  return isCaller === isCallee ? encloses(outer, inner) : isCaller;
}
