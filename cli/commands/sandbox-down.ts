import { Command } from "commander";
import { askControl } from "../ask-control.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";

/** `forklane sandbox down` */
export function sandboxDownCommand(context: CliContext): Command {
  const command = new Command("down").argument("<name>", "name of the sandbox");
  return addControlOptions(command, context).action((name: string, flags: ControlFlags) =>
    down(context, name, flags),
  );
}

/** Done as well where there is none, as with the API: what was asked for is that it is gone. */
async function down(context: CliContext, name: string, flags: ControlFlags): Promise<void> {
  await askControl(flags.control, (client) => client.deleteSandbox(name));
  if (flags.json === true) printJson(context, { name, deleted: true });
  else printLines(context, [`sandbox ${name} is gone`]);
}
