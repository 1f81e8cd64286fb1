import { Command } from "commander";
import { askControl } from "../ask-control.ts";
import { CliError } from "../cli-error.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import { collectHeader, readTag, readWorkload } from "../option-values.ts";
import { printable } from "../printable.ts";
import { tagHeaders } from "../tag.ts";

interface ExplainFlags extends ControlFlags {
  readonly workload: string;
  readonly key?: string;
  readonly header?: readonly (readonly [string, string])[];
}

const EXAMPLE = `
  forklane explain --workload shop/cart --key 'jane-42!'
  forklane explain --workload shop/cart --header 'baggage: sandbox=jane-42'`;

/** `forklane explain` */
export function explainCommand(context: CliContext): Command {
  const command = new Command("explain")
    .requiredOption("--workload <namespace/name>", "the workload that is called", readWorkload)
    .option("--key <key>", "the request's tag; with ! behind it is strict", readTag)
    .option("--header <name: value>", "a header of the request (repeatable)", collectHeader)
    .addHelpText("after", EXAMPLE);
  return addControlOptions(command, context).action((flags: ExplainFlags) =>
    explain(context, flags),
  );
}

async function explain(context: CliContext, flags: ExplainFlags): Promise<void> {
  if (flags.key === undefined && flags.header === undefined) {
    const fix = "see forklane explain --help";
    throw new CliError("usage", "there is nothing to explain without --key or --header", { fix });
  }
  const headers = headersOf(flags);
  const explanation = await askControl(flags.control, (client) =>
    client.explain({ workload: flags.workload, headers }),
  );
  if (flags.json === true) printJson(context, explanation);
  else printLines(context, renderExplanation(explanation));
}

/** Several lines of one header stay several. */
function headersOf(flags: ExplainFlags): Record<string, string[]> {
  const given = flags.header ?? [];
  const all = flags.key === undefined ? given : tagHeaders(given, flags.key, "baggage");
  const byName = Map.groupBy(all, ([name]) => name.toLowerCase());
  return Object.fromEntries(
    [...byName].map(([name, lines]) => [name, lines.map(([, value]) => value)]),
  );
}

/** What is read of an explanation. */
export interface ExplanationView {
  readonly workload: string;
  readonly outcome: string;
  readonly reason: string;
  readonly status: number;
  readonly key: string | null;
  readonly sandbox: string | null;
  readonly endpoints: readonly string[];
  readonly collision: string | null;
  readonly revision: string;
}

/** An explanation in a line or two. */
export function renderExplanation(explanation: ExplanationView): string[] {
  const { workload, outcome, reason, status, endpoints, sandbox, collision } = explanation;
  const refusal = outcome === "refused" ? ` with ${status}` : "";
  const where = outcome === "fork" ? ` at ${endpoints.join(", ")} (sandbox ${sandbox})` : "";
  return [
    `${workload}: ${outcome}${refusal}${where}`,
    `  reason ${reason}, key ${explanation.key ?? "none"}, revision ${explanation.revision}`,
    ...(collision === null ? [] : [`  ${collision} forks it too and loses`]),
  ].map(printable);
}
