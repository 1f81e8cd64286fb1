import type { Command } from "commander";

/** A setting that is passed on to a process as its text: name, value's name, and what help says. */
export interface FlagRow {
  readonly setting: string;
  readonly value: string;
  readonly description: string;
  /** May be given several times; the process reads a list with commas. */
  readonly isList?: true;
  /** Stands alone, and is `true` then. */
  readonly isSwitch?: true;
}

/**
 * Declares settings as options. They are not judged here: the process that they belong to knows
 * what is allowed, and says so also for its file and its environment.
 */
export function addFlags(command: Command, rows: readonly FlagRow[]): Command {
  for (const row of rows) {
    const words = row.isSwitch ? `--${row.setting}` : `--${row.setting} <${row.value}>`;
    if (row.isList) command.option(words, row.description, joined);
    else command.option(words, row.description);
  }
  return command;
}

/** Returns what was given, keyed by setting (`state-dir`), as text. */
export function readFlags(
  command: Command,
  rows: readonly FlagRow[],
): Record<string, string | undefined> {
  const given = command.options.flatMap((option) => {
    const setting = option.name();
    const value: unknown = command.getOptionValue(option.attributeName());
    const isSetting = rows.some((row) => row.setting === setting);
    return isSetting && value !== undefined ? [[setting, String(value)] as const] : [];
  });
  return Object.fromEntries(given);
}

function joined(text: string, before: string | undefined): string {
  return before === undefined ? text : `${before},${text}`;
}
