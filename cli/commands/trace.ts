import { Command } from "commander";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import { durationMs, readDuration, readTraceId } from "../option-values.ts";
import { incompleteness, readTrace, renderTrace } from "../read-trace.ts";

interface TraceFlags extends ControlFlags {
  readonly wait?: boolean;
  readonly timeout: string;
}

/** `forklane trace` */
export function traceCommand(context: CliContext): Command {
  const command = new Command("trace")
    .argument("<id>", "what forklane-trace said, or a W3C trace id", readTraceId)
    .option("--wait", "look again until it is complete")
    .option("--timeout <duration>", "how long to wait", readDuration, "10s");
  return addControlOptions(command, context).action((id: string, flags: TraceFlags) =>
    trace(context, id, flags),
  );
}

async function trace(context: CliContext, id: string, flags: TraceFlags): Promise<void> {
  const waitMs = flags.wait === true ? durationMs(flags.timeout) : 0;
  const document = await readTrace(flags.control, id, waitMs);
  const failure = incompleteness(document);
  if (flags.json !== true) {
    printLines(context, renderTrace(document, context.stdoutTerminal.hasColor));
  } else if (failure === null) {
    printJson(context, document);
  }
  if (failure !== null) throw failure;
}
