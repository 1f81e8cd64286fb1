import { innermost } from "./blame.ts";
import type { BreakClass, Confidence, Finding, Rule } from "./evidence.ts";
import { describe, fixFor } from "./fix.ts";
import type { Loss } from "./losses.ts";
import type { ProbeTree } from "./probe-tree.ts";

/** The surest first. */
const CONFIDENCES: readonly Confidence[] = ["confirmed", "probable", "suspected"];

/** Makes one finding of all losses of one edge and cause, the one nearest to the entry first. */
export function toFindings(losses: readonly Loss[], trees: readonly ProbeTree[]): Finding[] {
  const groups = Map.groupBy(losses, (loss) => `${loss.to} ${loss.class} ${loss.rule}`);
  const findings = [...groups.values()].flatMap((group) => {
    const sure = Map.groupBy(group, (loss) => commonCallers(loss, group, trees).join(" or "));
    return [...sure.values()].map((same) => findingOf(same, group, trees));
  });
  return findings.toSorted((a, b) => rankOf(a, trees) - rankOf(b, trees) || compare(a, b));
}

/**
 * Callers that stay possible over all requests: an accident of time does not repeat. A loss whose
 * caller is certain stands for itself, so that two broken callers of one callee stay two.
 */
function commonCallers(
  loss: Loss,
  group: readonly Loss[],
  trees: readonly ProbeTree[],
): readonly string[] {
  if (loss.from.length === 1) return loss.from;
  const others = group.filter((other) => other.from.some((name) => loss.from.includes(name)));
  const common = loss.from.filter((name) => others.every((other) => other.from.includes(name)));
  const possible = common.length > 0 ? common : loss.from;
  const beyondDoubt = possible.filter((name) =>
    [loss, ...others].every((other) => other.beyondDoubt.includes(name)),
  );
  return innermost(possible, beyondDoubt, trees).toSorted();
}

function findingOf(
  losses: readonly Loss[],
  group: readonly Loss[],
  trees: readonly ProbeTree[],
): Finding {
  const [first] = losses;
  if (first === undefined) throw new Error("a group has a member");
  const from = commonCallers(first, group, trees);
  const client = mostFrequent(losses.flatMap((loss) => loss.client ?? []));
  const name = from.join(" or ");
  return {
    from,
    to: first.to,
    state: stateOf(first.class, first.rule),
    class: first.class,
    confidence: confidenceOf(losses, from.length),
    rule: first.rule,
    seen: new Set(losses.map((loss) => loss.root)).size,
    of: Math.max(
      1,
      trees.filter((tree) => tree.nodes.some((node) => from.includes(node.workload))).length,
    ),
    client,
    what: describe(first.class, name, first.to),
    effect: effectOf(first.class, name, first.to),
    fix: fixFor(first.class, name, first.to, client),
  };
}

function stateOf(breakClass: BreakClass, rule: Rule): Finding["state"] {
  switch (breakClass) {
    case "baggage-propagator-missing":
      return "drops-baggage";
    case "headers-not-forwarded":
      return "drops-all";
    case "async-boundary":
      return rule === "R6" ? "drops-baggage" : "drops-all";
    default:
      return "mangles";
  }
}

/** One request that proves it is a proof; which of several it was is never one. */
function confidenceOf(losses: readonly Loss[], callers: number): Confidence {
  const surest = CONFIDENCES.find((each) => losses.some((loss) => loss.confidence === each));
  if (callers === 1) return surest ?? "suspected";
  const isCounted = losses.some(({ rule }) => rule === "R4" || rule === "R1");
  return surest === "suspected" || isCounted ? "suspected" : "probable";
}

function effectOf(breakClass: BreakClass, from: string, to: string): string {
  if (breakClass === "percent-decoded") {
    return `a member with an encoded comma or semicolon becomes another one behind ${from}`;
  }
  return `a fork of ${to}, or of what it calls, is not reached through ${from}`;
}

function mostFrequent(texts: readonly string[]): string | null {
  const counts = [...Map.groupBy(texts, (text) => text)].map(
    ([text, all]) => [text, all.length] as const,
  );
  counts.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return counts[0]?.[0] ?? null;
}

/** Nearest to the entry, then the surest. */
function rankOf(finding: Finding, trees: readonly ProbeTree[]): number {
  const depths = trees.flatMap((tree) =>
    tree.nodes.flatMap((node) => (finding.from.includes(node.workload) ? [node.depth] : [])),
  );
  return Math.min(1_000, ...depths) * CONFIDENCES.length + CONFIDENCES.indexOf(finding.confidence);
}

function compare(a: Finding, b: Finding): number {
  const [left, right] = [a, b].map((each) => `${each.from} ${each.to} ${each.class} ${each.rule}`);
  return (left ?? "") < (right ?? "") ? -1 : 1;
}
