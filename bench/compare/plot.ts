import { formatFigure } from "../measure/text-table.ts";
import { PROGRAMS, type Program } from "./contender.ts";
import type { CpuRow } from "./cpu-rows.ts";

/** Measures of the picture, in its own units. */
const LABEL_WIDTH = 130;
const BAR_WIDTH_MAX = 480;
const FIGURE_WIDTH = 110;
const BAR = 11;
const GAP = 12;
const TOP = 62;
const WIDTH = LABEL_WIDTH + BAR_WIDTH_MAX + FIGURE_WIDTH;

/** Bars end here, as a multiple of the cheapest: one proxy's cliff would make all others dots. */
const RATIO_MAX = 8;

const COLOURS: Readonly<Record<Program, string>> = {
  forklane: "#0f766e",
  nginx: "#94a3b8",
  haproxy: "#64748b",
  envoy: "#d97706",
};

/**
 * Draws CPU per request as SVG: a group of bars for each case, each group on a scale of its own, in
 * which the cheapest proxy is 1. The figures are microseconds.
 */
export function plotCpu(rows: readonly CpuRow[], caption: string): string {
  const cases = [...new Set(rows.map((row) => row.case))].filter((name) => isCompared(rows, name));
  const groups: string[] = [];
  let y = TOP;
  for (const name of cases) {
    const bars = PROGRAMS.flatMap((program) => {
      return rows.filter((row) => row.case === name && row.proxy === program);
    });
    groups.push(drawGroup(name, bars, y));
    y += bars.length * BAR + GAP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" font-family="system-ui, sans-serif" font-size="11">
<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>
<text x="8" y="18" font-size="14" fill="#0f172a">CPU per request, microseconds (user + system); shorter is better</text>
<text x="8" y="33" fill="#475569">${escapeXml(caption)}</text>
${drawLegend()}
${groups.join("\n")}
</svg>
`;
}

/** What only Forklane has is no comparison. */
function isCompared(rows: readonly CpuRow[], name: string): boolean {
  return rows.some((row) => row.case === name && row.proxy !== "forklane");
}

function drawLegend(): string {
  return PROGRAMS.map((program, i) => {
    const x = LABEL_WIDTH + i * 90;
    return `<rect x="${x}" y="42" width="9" height="9" fill="${COLOURS[program]}"/><text x="${x + 13}" y="50" fill="#0f172a">${program}</text>`;
  }).join("\n");
}

function drawGroup(name: string, bars: readonly CpuRow[], y: number): string {
  const least = Math.min(...bars.map((bar) => bar.totalMicros));
  const most = Math.max(...bars.map((bar) => bar.totalMicros));
  const scale = BAR_WIDTH_MAX / Math.min(most, least * RATIO_MAX);
  const middle = y + (bars.length * BAR) / 2 + 4;
  const label = `<text x="${LABEL_WIDTH - 8}" y="${middle}" text-anchor="end" fill="#0f172a">${escapeXml(name)}</text>`;
  return [label, ...bars.map((bar, i) => drawBar(bar, y + i * BAR, scale))].join("\n");
}

/** A bar that was cut says so by an arrow before its figure. */
function drawBar(bar: CpuRow, y: number, scale: number): string {
  const wanted = bar.totalMicros * scale;
  const width = Math.min(BAR_WIDTH_MAX, wanted);
  const cut = wanted > BAR_WIDTH_MAX * 1.001 ? "→ " : "";
  const colour = COLOURS[bar.proxy as Program];
  return `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" fill="${colour}"/><text x="${(LABEL_WIDTH + width + 4).toFixed(1)}" y="${y + 9}" font-size="10" fill="#334155">${cut}${formatFigure(bar.totalMicros)}</text>`;
}

function escapeXml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
