import { Command } from "commander";
import { askControl } from "../ask-control.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import { readDuration } from "../option-values.ts";
import { renderSandbox } from "../render-sandbox.ts";
import { waitReady } from "../wait-ready.ts";

interface GetFlags extends ControlFlags {
  readonly wait?: boolean;
  readonly timeout: string;
}

/** `forklane sandbox get` */
export function sandboxGetCommand(context: CliContext): Command {
  const command = new Command("get")
    .argument("<name>", "name of the sandbox")
    .option("--wait", "return when it is ready; exit 1 if it is not in time")
    .option("--timeout <duration>", "how long to wait", readDuration, "30s");
  return addControlOptions(command, context).action((name: string, flags: GetFlags) =>
    get(context, name, flags),
  );
}

async function get(context: CliContext, name: string, flags: GetFlags): Promise<void> {
  const isWaiting = flags.wait === true;
  const sandbox = await askControl(flags.control, (client) =>
    isWaiting ? waitReady(client, name, flags.timeout) : client.getSandbox(name),
  );
  if (flags.json === true) printJson(context, sandbox);
  else printLines(context, renderSandbox(sandbox, context.stdoutTerminal.hasColor));
}
