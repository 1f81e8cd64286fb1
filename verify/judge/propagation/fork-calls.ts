import type { Observation } from "../../../core/observation.ts";
import { hasBegun, isServedAt, placeOf, slackOf } from "./blame.ts";
import { PULSE_CHANCE, REQUESTS_SHARE } from "./count-losses.ts";
import type { Confidence, Place, PropagationEvidence } from "./evidence.ts";
import { allSeen, classOf, type Seen } from "./losses.ts";
import { poissonTail } from "./poisson.ts";
import type { ProbeTree } from "./probe-tree.ts";

/**
 * R3: at some addresses stand forks of one workload and nothing else, so what comes from there is theirs.
 *
 * It is a loss if it came while a judged request was at that fork, and what the fork does by itself
 * does not account for it.
 */
export function forkCalls(
  trees: readonly ProbeTree[],
  strangers: readonly Observation[],
  evidence: PropagationEvidence,
): Seen {
  const seen = evidence.places.flatMap((place): Seen[] => {
    if (place.sandboxes.length === 0) return [];
    const calls = strangers.filter(
      (one) => placeOf(one, evidence) === place && one.workload !== place.workload,
    );
    const byCallee = Map.groupBy(calls, (one) => one.workload);
    return [...byCallee.values()].map((own) => callsOf(place, own, trees, evidence));
  });
  return allSeen(seen);
}

/** Calls of the forks at one place to one callee. */
function callsOf(
  place: Place,
  calls: readonly Observation[],
  trees: readonly ProbeTree[],
  evidence: PropagationEvidence,
): Seen {
  const served = trees.flatMap(({ root, nodes }) =>
    nodes.filter((node) => isServedAt(node, place)).map((node) => ({ root, node })),
  );
  const inside = calls.flatMap((call) => {
    const during = served.find(({ node }) => hasBegun(node, call));
    return during === undefined ? [] : [{ root: during.root, call }];
  });
  const busyMs = served.reduce((sum, { node }) => sum + node.durationMs, 0);
  const confidence = sureness(inside.length, calls.length, busyMs, evidence.observedMs);
  if (confidence !== null) {
    const losses = inside.map(({ root, call }) => lossOf(root, place, call, confidence));
    return { losses, notes: [], unclear: [] };
  }
  // On clocks that differ, what seems to come beside a request may have come during it.
  const shown = served.filter(({ node }) =>
    calls.some((call) => hasBegun(node, call, slackOf(call, evidence))),
  );
  const isAlways = shown.length > 0 && shown.length >= served.length * REQUESTS_SHARE;
  const by = `by the fork of ${place.workload} (${place.sandboxes.join(" or ")})`;
  const what = `${calls[0]?.workload} is called without the tag ${by}`;
  return isAlways
    ? { losses: [], notes: [], unclear: [`${what}, about when tagged requests are there`] }
    : { losses: [], notes: [`${what}: work of its own, it seems`], unclear: [] };
}

/** Null: the fork makes such calls by itself, so that these may be no loss. */
function sureness(
  inside: number,
  all: number,
  busyMs: number,
  observedMs: number,
): Confidence | null {
  if (inside === 0) return null;
  if (inside === all) return "confirmed";
  const rate = (all - inside + 1) / Math.max(observedMs - busyMs, 1);
  return poissonTail(inside, rate * busyMs) < PULSE_CHANCE ? "probable" : null;
}

function lossOf(
  root: string,
  { workload }: Place,
  call: Observation,
  confidence: Confidence,
): Seen["losses"][number] {
  return {
    root,
    from: [workload],
    beyondDoubt: [workload],
    confidence,
    to: call.workload,
    class: classOf(call.state, call.traceId !== null),
    rule: "R3",
    client: call.client,
  };
}
