import type { Observation } from "../../../core/observation.ts";
import { candidates, causes, isAround, type Knowledge, surelyAround } from "./blame.ts";
import type { Edge, PropagationEvidence, Rule } from "./evidence.ts";
import { classOf, type Loss, workloadsOf } from "./losses.ts";
import { poissonTail } from "./poisson.ts";
import type { ProbeTree } from "./probe-tree.ts";

/** R4: chance by accident below which untagged calls inside tagged ones are no accident. */
const PULSE_CHANCE = 0.001;
/** R1: the same where the edge is known to be taken. */
const FRONTIER_CHANCE = 0.001;
/** Judged requests that must show it, at least, and which share of them. */
const REQUESTS_MIN = 2;
const REQUESTS_SHARE = 0.8;

/**
 * R3, R4 and R1: untagged calls that nothing ties to a tagged one but where and when they came.
 *
 * Callees that a tag reached are left out: their untagged calls may be anybody's.
 */
export function countedLosses(
  trees: readonly ProbeTree[],
  strangers: readonly Observation[],
  evidence: PropagationEvidence,
): Loss[] {
  const fromForks = strangers.flatMap((one) => fromFork(one, trees, evidence));
  const reached = new Set(trees.flatMap((tree) => tree.nodes.map((node) => node.workload)));
  const byCallee = Map.groupBy(
    strangers.filter((one) => !reached.has(one.workload)),
    (one) => one.workload,
  );
  const pulses = [...byCallee.values()].flatMap(
    (calls) => pulseOf(calls, trees, evidence, byCallee.size) ?? [],
  );
  const first = pulses.filter((pulse) => !isBelow(pulse, pulses, trees, evidence.expected));
  return [...fromForks, ...first.flatMap((pulse) => lossesOf(pulse))];
}

/** R3: at this address stands a fork and nothing else, so whatever comes from there is its call. */
function fromFork(
  one: Observation,
  trees: readonly ProbeTree[],
  { places }: PropagationEvidence,
): Loss[] {
  const fork = places.find((place) => place.isFork && place.address === one.caller);
  if (fork === undefined || fork.workload === one.workload) return [];
  const tree = trees.find((each) =>
    each.nodes.some((node) => node.workload === fork.workload && isAround(node, one)),
  );
  const hit = {
    root: tree?.root ?? "",
    call: one,
    from: [fork.workload],
    beyondDoubt: [fork.workload],
    isNamed: true,
  };
  return [lossOf(hit, "R3")];
}

/** One call that stands out, and who was at work around it. */
interface Hit {
  /** Empty where it was made outside of every judged request. */
  readonly root: string;
  readonly call: Observation;
  readonly from: readonly string[];
  readonly beyondDoubt: readonly string[];
  readonly isNamed: boolean;
}

/** Calls of one callee that stand out inside judged requests. */
interface Pulse {
  readonly callee: string;
  readonly rule: Rule;
  /** One for each request that shows it. */
  readonly hits: readonly Hit[];
}

function pulseOf(
  calls: readonly Observation[],
  trees: readonly ProbeTree[],
  evidence: PropagationEvidence,
  callees: number,
): Pulse | null {
  const inside = new Set<Observation>();
  const hits = trees.flatMap((tree) => {
    const own = calls.flatMap((call) => hitOf(call, tree, evidence) ?? []);
    for (const { call } of own) inside.add(call);
    return own.slice(0, 1);
  });
  const callee = calls[0]?.workload ?? "";
  if (hits.length < Math.max(REQUESTS_MIN, trees.length * REQUESTS_SHARE)) return null;
  const busyMs = trees.reduce((sum, tree) => sum + spanOf(tree), 0);
  // One more than was seen outside: a quiet callee may have been quiet by chance.
  const rate = (calls.length - inside.size + 1) / Math.max(evidence.observedMs - busyMs, 1);
  const chance = poissonTail(inside.size, rate * busyMs);
  if (chance < PULSE_CHANCE / callees) return { callee, rule: "R4", hits };
  const isKnown = evidence.expected.some((edge) => edge.to === callee);
  return isKnown && chance < FRONTIER_CHANCE ? { callee, rule: "R1", hits } : null;
}

function hitOf(call: Observation, tree: ProbeTree, knowledge: Knowledge): Hit | null {
  const { nodes, isNamed } = candidates(call, tree, knowledge);
  const around = nodes.filter((node) => isAround(node, call));
  if (around.length === 0) return null;
  const beyondDoubt = workloadsOf(surelyAround(around, call));
  return { root: tree.root, call, from: workloadsOf(around), beyondDoubt, isNamed };
}

function spanOf(tree: ProbeTree): number {
  const start = Math.min(...tree.nodes.map((node) => node.startMs));
  return Math.max(...tree.nodes.map((node) => node.endMs)) - start;
}

/** What an untagged call makes is untagged too: that is no second loss. */
function isBelow(
  pulse: Pulse,
  pulses: readonly Pulse[],
  trees: readonly ProbeTree[],
  expected: readonly Edge[],
): boolean {
  const lost = new Map(trees.map(({ root, observed }) => [root, observed]));
  return pulse.hits.every(({ root, call, isNamed }) => {
    const others = pulses.flatMap((other) => (other === pulse ? [] : other.hits));
    const calls = others.flatMap((hit) => (hit.root === root ? [hit.call] : []));
    const outer = [...calls, ...(lost.get(root) ?? []).filter((one) => one.hop === null)];
    return !isNamed && outer.some((one) => causes(one, call, expected));
  });
}

/** One cause for all: a stranger's call among them looks different, and is no second loss. */
function lossesOf({ hits, rule }: Pulse): Loss[] {
  const losses = hits.map((hit) => lossOf(hit, rule));
  const byClass = Map.groupBy(losses, (loss) => loss.class);
  const most = [...byClass.keys()].toSorted(
    (a, b) => (byClass.get(b)?.length ?? 0) - (byClass.get(a)?.length ?? 0) || (a < b ? -1 : 1),
  );
  return losses.map((loss) => ({ ...loss, class: most[0] ?? loss.class }));
}

function lossOf({ root, call, from, beyondDoubt, isNamed }: Hit, rule: Rule): Loss {
  return {
    root,
    from,
    beyondDoubt,
    isNamed,
    to: call.workload,
    class: classOf(call.state, call.traceId !== null),
    rule,
    client: call.client,
  };
}
