import type { Command } from "commander";
import type { CliContext } from "./context.ts";
import { readControlUrl } from "./option-values.ts";

/** What every command that asks control takes. */
export interface ControlFlags {
  readonly control: string;
  readonly json?: boolean;
}

/** Declares `--control` and `--json`. */
export function addControlOptions(command: Command, context: CliContext): Command {
  return command
    .option("--control <url>", "where control is", readControlUrl, context.config.control)
    .option("--json", "print JSON, also for a failure");
}
