import { printable } from "../printable.ts";
import { paint } from "../terminal.ts";
import type { VerdictView } from "./examine.ts";

/** Most edges and reasons that are listed; the rest is counted. */
const LINES_MAX = 40;

/**
 * A verdict for people: the answer in the first line, then what it rests on, then each edge.
 *
 * `requests` names what was judged (`probes`, `requests`), `again` is the command to check a fix.
 */
export function renderVerdict(
  verdict: VerdictView,
  words: { readonly requests: string; readonly again: string; readonly hasColor: boolean },
): string[] {
  const { findings, notes, incomplete } = verdict;
  const blocks = findings.flatMap((finding, i) => renderFinding(finding, i > 0, words));
  return [
    ...(findings.length > 0 ? blocks : renderWithout(verdict, words)),
    ...notes.map((note) => `  note: ${printable(note)}`),
    ...(findings.length > 0 ? incomplete.map((why) => `  incomplete: ${printable(why)}`) : []),
    ...renderEdges(verdict),
  ];
}

type Words = Parameters<typeof renderVerdict>[1];

function renderFinding(
  finding: VerdictView["findings"][number],
  isFurther: boolean,
  { requests, again, hasColor }: Words,
): string[] {
  const { confidence, rule, seen, of, client } = finding;
  const hop = `${finding.from.join(" or ")} -> ${finding.to}`;
  const sure = `(${confidence}, ${rule}, ${seen}/${of} ${requests})`;
  const title = `propagation: ${isFurther ? "also " : ""}broken at ${hop}`;
  return [
    `${paint(printable(title), "red", hasColor)}  ${sure}`,
    `  ${printable(finding.what)}; client: ${printable(client ?? "it does not say")}`,
    `  effect: ${printable(finding.effect)}`,
    `  next: ${printable(finding.fix)}${isFurther ? "" : ` ; rerun: ${again}`}`,
  ];
}

function renderWithout(verdict: VerdictView, { requests, again, hasColor }: Words): string[] {
  const { incomplete, edges } = verdict;
  if (verdict.verdict === "healthy") {
    const countOf = (state: string) => edges.filter((edge) => edge.state === state).length;
    const unseen = countOf("not-seen") > 0 ? `, ${countOf("not-seen")} known not taken` : "";
    const what = `${verdict.requests} ${requests}, ${countOf("propagates")} edges${unseen}`;
    return [`${paint("propagation: healthy", "green", hasColor)}  (${what})`];
  }
  const [first = "nothing was seen", ...further] = incomplete;
  return [
    `${paint("propagation: inconclusive", "yellow", hasColor)}: ${printable(first)}`,
    ...further.slice(0, LINES_MAX).map((why) => `  ${printable(why)}`),
    `  next: see that every proxy on the way reaches control; where other traffic hides it, try more --probes, or a quiet hour ; rerun: ${again}`,
  ];
}

function renderEdges({ edges }: VerdictView): string[] {
  if (edges.length === 0) return [];
  const names = edges.map(({ from, to }) => printable(`${from} -> ${to}`));
  const width = Math.max(...names.map((name) => name.length));
  const lines = edges.map(({ state, arrived, lost }, i) => {
    const counts = state === "not-seen" ? "" : `  ${arrived} arrived, ${lost} lost`;
    return `  ${(names[i] ?? "").padEnd(width)}  ${state.padEnd(13)}${counts}`.trimEnd();
  });
  const left = lines.length - LINES_MAX;
  return ["", ...lines.slice(0, LINES_MAX), ...(left > 0 ? [`  ... and ${left} more edges`] : [])];
}
