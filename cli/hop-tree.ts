import { printable } from "./printable.ts";
import { paint } from "./terminal.ts";

/** What is read of one hop of a trace document. */
export interface TreeHop {
  readonly hop: string;
  readonly parent: string | null;
  readonly workload: string;
  readonly outcome: "fork" | "baseline" | "refused";
  readonly reason: string;
  readonly endpoint: string | null;
  /** Whether the fork's own proxy recorded the same hop. */
  readonly confirmed: boolean;
  readonly status: number;
  readonly totalMs: number;
  readonly fault: string | null;
}

/** How a tree is drawn. */
export interface TreeOptions {
  readonly hasColor: boolean;
  /** Order of the calls of one hop: as they began, or by name, so that two trees compare well. */
  readonly siblings: "by-time" | "by-name";
}

/** Most hops that one tree draws: what a person reads; the rest is counted. */
export const TREE_HOPS_MAX = 500;

/** Deepest level that is drawn with an indentation of its own. */
export const TREE_DEPTH_MAX = 40;

/** Space between two trees side by side. */
const GUTTER = "   ";

interface Row {
  /** Branches and workload, without colour. */
  readonly branch: string;
  readonly hop: TreeHop;
}

/**
 * Draws the hops of one trace, callers above callees, a line each: workload, outcome, reason, time,
 * and where a fork or a refusal came from.
 *
 * Total: a hop whose caller is missing stands at the left, one that is its own caller too, and each
 * is drawn once.
 */
export function renderHopTree(hops: readonly TreeHop[], options: TreeOptions): string[] {
  const rows = layOut(hops.slice(0, TREE_HOPS_MAX), options);
  const branchWidth = widest(rows.map((row) => row.branch));
  const reasonWidth = widest(rows.map((row) => printable(row.hop.reason)));
  const lines = rows.map((row) => renderRow(row, branchWidth, reasonWidth, options.hasColor));
  const left = hops.length - TREE_HOPS_MAX;
  return left > 0 ? [...lines, `... and ${left} more hops`] : lines;
}

/** Puts two blocks of lines beside each other where `columns` allow, else below each other. */
export function besideEachOther(
  left: readonly string[],
  right: readonly string[],
  columns: number,
): string[] {
  const leftWidth = widest(left);
  if (leftWidth + GUTTER.length + widest(right) > columns) return [...left, "", ...right];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const cell = left[i] ?? "";
    const gap = " ".repeat(leftWidth - visibleLength(cell));
    return `${cell}${gap}${GUTTER}${right[i] ?? ""}`.trimEnd();
  });
}

/** Walks from the entries down; what no entry leads to (a circle) is begun where it is found. */
function layOut(hops: readonly TreeHop[], options: TreeOptions): Row[] {
  const callees = groupByCaller(hops, options);
  const drawn = new Set<string>();
  const rows: Row[] = [];
  const entries = callees.get(null) ?? [];
  for (const top of [...entries, ...hops]) {
    if (!drawn.has(top.hop)) draw(top, callees, drawn, rows);
  }
  return rows;
}

function groupByCaller(
  hops: readonly TreeHop[],
  options: TreeOptions,
): Map<string | null, TreeHop[]> {
  const present = new Set(hops.map((each) => each.hop));
  const callees = new Map<string | null, TreeHop[]>();
  for (const each of ordered(hops, options)) {
    const caller = each.parent !== null && present.has(each.parent) ? each.parent : null;
    const siblings = callees.get(caller);
    if (siblings === undefined) callees.set(caller, [each]);
    else siblings.push(each);
  }
  return callees;
}

/** Hops come in the order in which they began. */
function ordered(hops: readonly TreeHop[], options: TreeOptions): readonly TreeHop[] {
  if (options.siblings === "by-time") return hops;
  return [...hops].sort((a, b) => (a.workload < b.workload ? -1 : Number(a.workload > b.workload)));
}

/** Draws one top and all below it; a stack of our own, because depth is the callers' choice. */
function draw(
  top: TreeHop,
  callees: ReadonlyMap<string | null, readonly TreeHop[]>,
  drawn: Set<string>,
  rows: Row[],
): void {
  const stack = [{ hop: top, indent: "", knot: "", depth: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (drawn.has(next.hop.hop)) continue;
    drawn.add(next.hop.hop);
    rows.push({ branch: next.indent + next.knot + printable(next.hop.workload), hop: next.hop });
    const below = (callees.get(next.hop.hop) ?? []).filter((each) => !drawn.has(each.hop));
    const indent = next.depth < TREE_DEPTH_MAX ? next.indent + continued(next.knot) : next.indent;
    for (const [i, hop] of [...below.entries()].reverse()) {
      stack.push({
        hop,
        indent,
        knot: i === below.length - 1 ? "└ " : "├ ",
        depth: next.depth + 1,
      });
    }
  }
}

/** What stands below a knot: a line down if siblings follow. */
function continued(knot: string): string {
  if (knot === "") return "";
  return knot === "├ " ? "│ " : "  ";
}

function renderRow(row: Row, branchWidth: number, reasonWidth: number, hasColor: boolean): string {
  const { hop } = row;
  const cells = [
    row.branch.padEnd(branchWidth),
    renderOutcome(hop, hasColor),
    printable(hop.reason).padEnd(reasonWidth),
    renderTime(hop.totalMs),
    renderRemark(hop),
  ];
  return cells.join("  ").trimEnd();
}

const OUTCOME_WIDTH = "baseline".length;

/** A fork is what one looks for, a refusal what one must not overlook: both stand out without colour too. */
function renderOutcome(hop: TreeHop, hasColor: boolean): string {
  switch (hop.outcome) {
    case "fork":
      return paint("FORK".padEnd(OUTCOME_WIDTH), "green", hasColor);
    case "refused":
      return paint("REFUSED".padEnd(OUTCOME_WIDTH), "red", hasColor);
    case "baseline":
      return "baseline";
  }
}

function renderTime(totalMs: number): string {
  return `${totalMs.toFixed(1)} ms`.padStart(9);
}

/** Where a fork is, and whether its own proxy saw the request too; a status or fault that is not as it should be. */
function renderRemark(hop: TreeHop): string {
  const remarks: string[] = [];
  if (hop.outcome === "fork" && hop.endpoint !== null) remarks.push(printable(hop.endpoint));
  if (hop.confirmed) remarks.push("confirmed");
  if (hop.status === 0 || hop.status >= 400)
    remarks.push(hop.status === 0 ? "no answer" : `${hop.status}`);
  if (hop.fault !== null && hop.fault !== hop.reason) remarks.push(printable(hop.fault));
  return remarks.join(" ");
}

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, visibleLength(text)), 0);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin what a terminal does not show
const SGR_SEQUENCE = /\u001b\[[0-9;]*m/g;

function visibleLength(text: string): number {
  return text.replace(SGR_SEQUENCE, "").length;
}
