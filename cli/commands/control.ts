import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { addFlags, type FlagRow, readFlags } from "../flags.ts";

/** The settings of control/config.ts, in the order in which one meets them. */
export const CONTROL_FLAGS: readonly FlagRow[] = [
  {
    setting: "listen",
    value: "host:port",
    description: "where the API answers, on loopback (default 127.0.0.1:7070)",
  },
  {
    setting: "data",
    value: "file",
    description: "the store (default forklane.db); :memory: keeps nothing",
  },
  {
    setting: "allowed-networks",
    value: "cidr",
    description: "where endpoints of forks may lie (repeatable; default loopback and private)",
    isList: true,
  },
  {
    setting: "log-level",
    value: "level",
    description: "silent, error, warn (default), info or debug; to stderr",
  },
  {
    setting: "new-epoch",
    value: "",
    description: "begin another history: once, after a backup was restored",
    isSwitch: true,
  },
];

const ENVIRONMENT = `
Each setting may also stand in the environment: FORKLANE_CONTROL_LISTEN, ...`;

/** `forklane control` */
export function controlCommand(context: CliContext): Command {
  const command = addFlags(new Command("control"), CONTROL_FLAGS).addHelpText("after", ENVIRONMENT);
  return command.action(async () => {
    const { runControl } = await import("../../control/main.ts");
    context.exitCode = await runControl(readFlags(command, CONTROL_FLAGS));
  });
}
