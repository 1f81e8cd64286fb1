import type { Observation } from "../../../core/observation.ts";
import { placeOf, slackOf } from "./blame.ts";
import { REQUESTS_SHARE } from "./count-losses.ts";
import type { Edge, PropagationEvidence } from "./evidence.ts";
import type { Loss } from "./losses.ts";
import { edgesIn, type ProbeTree, type TaggedNode } from "./probe-tree.ts";

/**
 * R1 where counting finds nothing: edges that earlier requests took, and of these requests none.
 *
 * A request need not take every edge, so that alone is no loss. It may be one if untagged calls came
 * to the callee each time, or if nobody would have seen them. A sentence each.
 */
export function unreachedEdges(
  trees: readonly ProbeTree[],
  strangers: readonly Observation[],
  losses: readonly Loss[],
  evidence: PropagationEvidence,
): string[] {
  const taken = new Set(trees.flatMap(edgesIn).map(nameOf));
  const found = new Set(
    losses.flatMap(({ from, to }) => from.map((one) => nameOf({ from: one, to }))),
  );
  return evidence.expected.flatMap((edge) => {
    const at = trees.flatMap(({ nodes }) => {
      const there = nodes.filter((node) => node.workload === edge.from);
      return there.length > 0 ? [there] : [];
    });
    if (at.length === 0 || taken.has(nameOf(edge)) || found.has(nameOf(edge))) return [];
    const before = `earlier requests went on from ${edge.from} to ${edge.to}, these did not (R1)`;
    if (!evidence.observed.includes(edge.to)) return [`${before}, and no proxy observed there`];
    const calls = strangers.filter((one) => mayBeOf(one, edge, evidence));
    const shown = at.filter((nodes) =>
      calls.some((one) => nodes.some((node) => isBeside(node, one, slackOf(one, evidence)))),
    );
    if (shown.length < at.length * REQUESTS_SHARE) return [];
    return [`${before}, and untagged calls came there in ${shown.length} of ${at.length}`];
  });
}

function nameOf({ from, to }: Edge): string {
  return `${from} ${to}`;
}

function mayBeOf(one: Observation, { from, to }: Edge, evidence: PropagationEvidence): boolean {
  const place = placeOf(one, evidence);
  return one.workload === to && (place === undefined || place.workload === from);
}

/** Whether a call was under way at any time that an exchange was, on clocks so far apart. */
function isBeside(node: TaggedNode, call: Observation, slackMs: number): boolean {
  const endMs = call.timeMs + call.totalMs;
  return node.startMs <= endMs + slackMs && node.endMs >= call.timeMs - slackMs;
}
