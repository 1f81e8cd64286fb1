/** A column: its heading, and whether figures stand in it. */
export interface Column {
  readonly heading: string;
  readonly align: "left" | "right";
}

/** Renders rows below headings, columns two spaces apart; every line ends without spaces. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map((column, i) =>
    Math.max(column.heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const renderLine = (cells: readonly string[]): string =>
    columns
      .map((column, i) => pad(cells[i] ?? "", widths[i] ?? 0, column.align))
      .join("  ")
      .trimEnd();
  const headings = columns.map((column) => column.heading);
  const rule = widths.map((width) => "-".repeat(width));
  return [headings, rule, ...rows].map(renderLine).join("\n");
}

/** Headings of a table whose first columns are text and all others figures. */
export function columnsOf(text: readonly string[], figures: readonly string[]): Column[] {
  return [
    ...text.map((heading): Column => ({ heading, align: "left" })),
    ...figures.map((heading): Column => ({ heading, align: "right" })),
  ];
}

/** Writes a figure with as many digits as its size deserves: 3 significant, none behind 100. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

function pad(text: string, width: number, align: Column["align"]): string {
  return align === "left" ? text.padEnd(width) : text.padStart(width);
}
