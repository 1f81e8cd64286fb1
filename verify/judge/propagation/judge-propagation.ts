/**
 * Judges whether services pass the tag on: which hop lost it first, how sure that is, and what to do.
 *
 * Pure. Before: control's routes/runs.ts. After: the doctor, and verdicts of runs.
 * Invariants: the order of the evidence means nothing; nothing is found without an exchange that was
 * seen without its tag, and none that has the trace id of a judged request is passed over; without a
 * finding, evidence that is missing or names nobody makes the verdict inconclusive.
 */
import type { Observation, TagState } from "../../../core/observation.ts";
import { countedLosses } from "./count-losses.ts";
import type {
  Edge,
  EdgeReport,
  Finding,
  PropagationEvidence,
  PropagationVerdict,
} from "./evidence.ts";
import { toFindings } from "./findings.ts";
import { forkCalls } from "./fork-calls.ts";
import { changedTags, marksOf, tracedLosses } from "./losses.ts";
import { buildTrees, edgesIn, type ProbeTree } from "./probe-tree.ts";
import { unreachedEdges } from "./unreached.ts";

/** States that come with a tag that was lost; the others with one that was read. */
const LOST: readonly TagState[] = [
  "absent",
  "other-baggage",
  "truncated",
  "correlation-context",
  "unreadable",
];

/** The verdict on what one run has seen. */
export function judgePropagation(evidence: PropagationEvidence): PropagationVerdict {
  const { trees, strangers } = buildTrees(evidence);
  const isLost = (one: Observation) => LOST.includes(one.state);
  const untagged = evidence.observations.filter(isLost);
  const loose = strangers.filter(isLost);
  const traced = tracedLosses(trees, isLost, evidence);
  const ofForks = forkCalls(trees, loose, evidence);
  const losses = [
    ...changedTags(trees),
    ...marksOf(trees, (one) => !isLost(one) && one.state !== "spaces"),
    ...traced.losses,
    ...ofForks.losses,
    ...countedLosses(trees, loose, untagged, evidence),
  ];
  const findings = toFindings(losses, trees);
  const incomplete = [
    ...evidence.gaps,
    ...nothingSeen(trees),
    ...missingCallers(trees),
    ...listed([
      ...traced.unclear,
      ...ofForks.unclear,
      ...unreachedEdges(trees, loose, losses, evidence),
    ]),
  ];
  return {
    verdict: verdictOf(findings, incomplete),
    requests: trees.length,
    findings,
    notes: [
      ...spacesNotes(trees),
      ...healedNotes(trees),
      ...listed([...traced.notes, ...ofForks.notes]),
    ],
    edges: reportEdges(trees, findings, evidence.expected),
    incomplete,
  };
}

/** Each sentence once, in an order that does not depend on that of the evidence. */
function listed(sentences: readonly string[]): string[] {
  return [...new Set(sentences)].toSorted();
}

/** What was seen was seen: gaps take nothing from a finding, only from its absence. */
function verdictOf(
  findings: readonly Finding[],
  incomplete: readonly string[],
): PropagationVerdict["verdict"] {
  if (findings.length > 0) return "broken";
  return incomplete.length > 0 ? "inconclusive" : "healthy";
}

function nothingSeen(trees: readonly ProbeTree[]): string[] {
  return trees.length > 0 ? [] : ["no tagged request was recorded"];
}

function missingCallers(trees: readonly ProbeTree[]): string[] {
  const lost = trees.flatMap((tree) =>
    tree.nodes.filter((node) => node.parent !== null && !tree.byHop.has(node.parent)),
  );
  const workloads = [...new Set(lost.map((node) => node.workload))].toSorted();
  return workloads.map((workload) => `a hop that called ${workload} is not recorded`);
}

/** White space around `=` is legal and read; whoever looks for `name=value` would miss it. */
function spacesNotes(trees: readonly ProbeTree[]): string[] {
  const notes = marksOf(trees, (one) => one.state === "spaces").map(
    ({ from, to }) =>
      `${from.join(" or ")} -> ${to}: members come as "name = value" (.NET 10); legal, and read here`,
  );
  return listed(notes);
}

/** The request went on as it was meant to, so that is no fault; without that proxy it would be one. */
function healedNotes(trees: readonly ProbeTree[]): string[] {
  const notes = trees.flatMap(({ nodes }) =>
    nodes.flatMap(({ workload, healed }) => {
      if (healed === null) return [];
      const { from, by } = healed;
      const how = by === "affinity" ? "by its trace id" : "as its fork's calls are the sandbox's";
      return [`${from} -> ${workload}: ${from} loses the tag; its own proxy gives it back, ${how}`];
    }),
  );
  return listed(notes);
}

function reportEdges(
  trees: readonly ProbeTree[],
  findings: readonly Finding[],
  expected: readonly Edge[],
): EdgeReport[] {
  const reports = new Map<string, EdgeReport>();
  const set = (report: EdgeReport) => reports.set(`${report.from} ${report.to}`, report);
  const met = new Set(trees.flatMap((tree) => tree.nodes.map((node) => node.workload)));
  for (const edge of expected) {
    if (met.has(edge.from)) set({ ...edge, state: "not-seen", arrived: 0, lost: 0 });
  }
  for (const tree of trees) {
    for (const edge of edgesIn(tree)) {
      const arrived = (reports.get(`${edge.from} ${edge.to}`)?.arrived ?? 0) + 1;
      set({ ...edge, state: "propagates", arrived, lost: 0 });
    }
  }
  for (const { from, to, state, seen } of findings) {
    const [only] = from;
    if (only === undefined || from.length > 1) continue;
    const arrived = reports.get(`${only} ${to}`)?.arrived ?? 0;
    set({ from: only, to, state, arrived, lost: seen });
  }
  return [...reports.keys()].toSorted().flatMap((name) => reports.get(name) ?? []);
}
