import { paint } from "./terminal.ts";

/** What is read of one condition of a sandbox. */
export interface ConditionView {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** What is read of a sandbox as the API gives it. */
export interface SandboxView {
  readonly name: string;
  readonly routingKey: string;
  readonly forks: readonly { readonly workload: string; readonly endpoints: readonly string[] }[];
  readonly onUnavailable: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: {
    readonly ready: boolean;
    readonly conditions: readonly ConditionView[];
    readonly unconfirmed: readonly string[];
    readonly expiresAt: string | null;
  };
}

/** What is read of the answer of a dry run. */
export interface DryRunView {
  readonly action: string;
  readonly changes: readonly {
    readonly path: string;
    readonly from?: unknown;
    readonly to?: unknown;
  }[];
  readonly tables: { readonly workloads: readonly string[] };
}

/** One sandbox, a line for each thing that one wants to know. */
export function renderSandbox(sandbox: SandboxView, hasColor: boolean): string[] {
  const state = sandbox.status.ready
    ? paint("ready", "green", hasColor)
    : paint("not ready", "yellow", hasColor);
  return [
    `sandbox ${sandbox.name}  ${state}  key ${sandbox.routingKey}  when a fork is down: ${sandbox.onUnavailable}`,
    ...sandbox.forks.map((fork) => `  fork of ${fork.workload} at ${fork.endpoints.join(", ")}`),
    ...renderLabels(sandbox.labels),
    ...(sandbox.status.expiresAt === null ? [] : [`  ends at ${sandbox.status.expiresAt}`]),
    ...sandbox.status.conditions.map(renderCondition),
    ...sandbox.status.unconfirmed.map((proxy) => `  unconfirmed: ${proxy}`),
  ];
}

/** What a write would change, a line each. */
export function renderDryRun(name: string, document: DryRunView): string[] {
  const { workloads } = document.tables;
  return [
    `would ${document.action === "none" ? "change nothing in" : document.action} sandbox ${name}`,
    ...document.changes.map(
      ({ path, from, to }) =>
        `  ${path}: ${JSON.stringify(from) ?? "-"} -> ${JSON.stringify(to) ?? "-"}`,
    ),
    ...(workloads.length === 0 ? [] : [`  routing tables of ${workloads.join(", ")}`]),
  ];
}

/** A table of sandboxes, or the sentence that there are none. */
export function renderSandboxes(sandboxes: readonly SandboxView[]): string[] {
  if (sandboxes.length === 0) return ["no sandboxes; create one with: forklane sandbox up"];
  const rows = [
    ["NAME", "KEY", "READY", "FORKS", "LABELS"],
    ...sandboxes.map((sandbox) => [
      sandbox.name,
      sandbox.routingKey,
      sandbox.status.ready ? "yes" : "no",
      sandbox.forks.map((fork) => fork.workload).join(","),
      labelText(sandbox.labels),
    ]),
  ];
  return renderTable(rows);
}

/** Aligns cells in columns, two spaces apart. */
export function renderTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function renderLabels(labels: Readonly<Record<string, string>>): string[] {
  return Object.keys(labels).length === 0 ? [] : [`  labels ${labelText(labels)}`];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

function renderCondition({ type, status, reason, message }: ConditionView): string {
  const why = message === "" ? reason : `${reason}: ${message}`;
  return `  ${type} ${status}  ${why}`;
}
