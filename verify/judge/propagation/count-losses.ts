import type { Observation } from "../../../core/observation.ts";
import {
  candidates,
  causes,
  encloses,
  isAround,
  isExpected,
  type NamedBy,
  placeOf,
  surelyAround,
} from "./blame.ts";
import type { Edge, PropagationEvidence, Rule } from "./evidence.ts";
import { classOf, type Loss, workloadsOf } from "./losses.ts";
import { poissonTail } from "./poisson.ts";
import { edgesIn, type ProbeTree } from "./probe-tree.ts";

/** R4: chance by accident below which untagged calls inside tagged ones are no accident. */
export const PULSE_CHANCE = 0.001;
/** R1: the same where the edge is known to be taken. */
const FRONTIER_CHANCE = 0.001;
/** Judged requests that must show it, at least, and which share of them. */
const REQUESTS_MIN = 2;
export const REQUESTS_SHARE = 0.8;

/** R4 and R1: untagged calls that nothing ties to a tagged one but where and when they came. */
export function countedLosses(
  trees: readonly ProbeTree[],
  strangers: readonly Observation[],
  untagged: readonly Observation[],
  evidence: PropagationEvidence,
): Loss[] {
  const streams = streamsOf(trees, strangers, evidence);
  const pulses = streams.flatMap(
    (calls) => pulseOf({ calls, trees, untagged, evidence, streams: streams.length }) ?? [],
  );
  const first = pulses.filter((pulse) => !isBelow(pulse, pulses, trees, evidence.expected));
  return first.flatMap((pulse) => lossesOf(pulse));
}

/**
 * Calls that are counted together: of one callee, and of one caller where its address tells.
 *
 * Where a tag went the same way there is nothing to find: the untagged calls may be anybody's.
 */
function streamsOf(
  trees: readonly ProbeTree[],
  strangers: readonly Observation[],
  evidence: PropagationEvidence,
): Observation[][] {
  const reached = new Set([
    ...trees.flatMap(({ nodes }) => nodes.map(({ workload }) => ` ${workload}`)),
    ...trees.flatMap((tree) => edgesIn(tree).map(({ from, to }) => `${from} ${to}`)),
  ]);
  const fromOf = (one: Observation) => placeOf(one, evidence)?.workload ?? "";
  const calls = strangers.filter((one) => {
    const isFork = (placeOf(one, evidence)?.sandboxes.length ?? 0) > 0;
    return !isFork && fromOf(one) !== one.workload;
  });
  const streams = Map.groupBy(calls, (one) => `${fromOf(one)} ${one.workload}`);
  return [...streams].flatMap(([edge, stream]) => (reached.has(edge) ? [] : [stream]));
}

/** One call that stands out, and who was at work around it. */
interface Hit {
  readonly root: string;
  readonly call: Observation;
  readonly from: readonly string[];
  readonly beyondDoubt: readonly string[];
  readonly by: NamedBy;
  /** An untagged exchange of a possible caller was under way around it, and may have made it. */
  readonly isExplained: boolean;
}

/** Calls of one stream that stand out inside judged requests. */
interface Pulse {
  readonly rule: Rule;
  /** One for each request that shows it. */
  readonly hits: readonly Hit[];
}

interface Counting {
  readonly calls: readonly Observation[];
  readonly trees: readonly ProbeTree[];
  readonly untagged: readonly Observation[];
  readonly evidence: PropagationEvidence;
  /** How many streams there are: among many, one stands out by accident. */
  readonly streams: number;
}

function pulseOf(counting: Counting): Pulse | null {
  const { calls, trees, evidence, streams } = counting;
  const all = trees.map((tree) => calls.flatMap((call) => hitOf(call, tree, counting) ?? []));
  const hits = all.flatMap((own) => own.find((hit) => !hit.isExplained) ?? own.slice(0, 1));
  if (hits.length < Math.max(REQUESTS_MIN, trees.length * REQUESTS_SHARE)) return null;
  const chance = chanceOf(all.flat(), hits, counting);
  if (chance < PULSE_CHANCE / streams) return { rule: "R4", hits };
  const isKnown = evidence.expected.some((edge) => edge.to === calls[0]?.workload);
  return isKnown && chance < FRONTIER_CHANCE ? { rule: "R1", hits } : null;
}

/** How probable so many hits are by accident: by those that nothing explains, or by all of them. */
function chanceOf(all: readonly Hit[], hits: readonly Hit[], counting: Counting): number {
  const { calls, trees, untagged, evidence } = counting;
  const inside = new Set(all.map(({ call }) => call));
  const explained = new Set(all.flatMap(({ call, isExplained }) => (isExplained ? [call] : [])));
  // One more than was seen outside: a quiet callee may have been quiet by chance.
  const outside = calls.length - inside.size + 1;
  const busyMs = trees.reduce((sum, tree) => sum + spanOf(tree), 0);
  const mean = (outside / Math.max(evidence.observedMs - busyMs, 1)) * busyMs;
  const callers = untagged.filter((one) => hits.some((hit) => mayMake(one, hit, evidence)));
  const idle = callers.filter((one) => !hits.some(({ call }) => encloses(one, call)));
  const made = hits.filter((hit) => hit.isExplained).length * (outside / (idle.length + 1));
  return Math.min(
    poissonTail(inside.size - explained.size, mean),
    poissonTail(hits.length, mean + made),
  );
}

function hitOf(call: Observation, tree: ProbeTree, counting: Counting): Hit | null {
  // Most calls are in none of the requests: who may have made them is not asked.
  if (!tree.nodes.some((node) => isAround(node, call))) return null;
  const { untagged, evidence } = counting;
  const { nodes, by } = candidates(call, tree, evidence);
  const around = nodes.filter((node) => isAround(node, call));
  if (around.length === 0) return null;
  const beyondDoubt = workloadsOf(surelyAround(around, call));
  const hit = { root: tree.root, call, from: workloadsOf(around), beyondDoubt, by };
  const isExplained = untagged.some((one) => mayMake(one, hit, evidence) && encloses(one, call));
  return { ...hit, isExplained };
}

/** Whether an untagged exchange was at a possible caller, which made the call for it then. */
function mayMake(
  { workload }: Observation,
  { call, from, by }: Pick<Hit, "call" | "from" | "by">,
  { expected }: PropagationEvidence,
): boolean {
  if (from.includes(workload)) return true;
  return by !== "address" && isExpected(expected, workload, call.workload);
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
  return pulse.hits.every(({ root, call, by }) => {
    const others = pulses.flatMap((other) => (other === pulse ? [] : other.hits));
    const calls = others.flatMap((hit) => (hit.root === root ? [hit.call] : []));
    const outer = [...calls, ...(lost.get(root) ?? []).filter((one) => one.hop === null)];
    return by === "time" && outer.some((one) => causes(one, call, expected));
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

function lossOf({ root, call, from, beyondDoubt, by }: Hit, rule: Rule): Loss {
  const isNamed = by === "address" || by === "only-caller";
  return {
    root,
    from,
    beyondDoubt,
    confidence: rule === "R4" && isNamed ? "probable" : "suspected",
    to: call.workload,
    class: classOf(call.state, call.traceId !== null),
    rule,
    client: call.client,
  };
}
