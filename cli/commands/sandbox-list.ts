import { Command } from "commander";
import { allPages, PAGE_ITEMS } from "../all-pages.ts";
import { askControl } from "../ask-control.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import { renderSandboxes } from "../render-sandbox.ts";

interface ListFlags extends ControlFlags {
  readonly selector?: string;
}

/** `forklane sandbox list` */
export function sandboxListCommand(context: CliContext): Command {
  const command = new Command("list").option(
    "--selector <labels>",
    "only those with these labels, as in team=cart,!draft",
  );
  return addControlOptions(command, context).action((flags: ListFlags) => list(context, flags));
}

async function list(context: CliContext, flags: ListFlags): Promise<void> {
  const selector = flags.selector === undefined ? {} : { labelSelector: flags.selector };
  const items = await askControl(flags.control, (client) =>
    allPages((page) => client.listSandboxes({ ...page, ...selector, limit: PAGE_ITEMS })),
  );
  if (flags.json === true) printJson(context, { items });
  else printLines(context, renderSandboxes(items));
}
