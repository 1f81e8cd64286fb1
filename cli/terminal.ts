import type { CliConfig } from "./config.ts";

/** What can be done on an output. */
export interface Terminal {
  readonly isTty: boolean;
  /** Columns of a line; without a terminal as many as one likes. */
  readonly columns: number;
  readonly hasColor: boolean;
}

/** How a piece of text may look. */
export type Look = "bold" | "dim" | "green" | "red" | "yellow";

const SGR: Readonly<Record<Look, string>> = {
  bold: "1",
  dim: "2",
  green: "32",
  red: "31",
  yellow: "33",
};

/** Columns that a terminal has when it does not say. */
const COLUMNS_DEFAULT = 80;

/** Looks at an output stream: colour only on a terminal, and not when the user asked for none. */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  config: CliConfig,
): Terminal {
  const isTty = stream.isTTY === true;
  return {
    isTty,
    columns: isTty ? stream.columns || COLUMNS_DEFAULT : Number.POSITIVE_INFINITY,
    hasColor: isTty && !config.noColor,
  };
}

/** Gives `text` a look (ECMA-48 SGR), or returns it as it is without colour. */
export function paint(text: string, look: Look, hasColor: boolean): string {
  return hasColor ? `\u001b[${SGR[look]}m${text}\u001b[0m` : text;
}
