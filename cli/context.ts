import type { ProblemDocument } from "./cli-error.ts";
import type { CliConfig } from "./config.ts";
import { type Terminal, terminalOf } from "./terminal.ts";

/** Where output goes. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** What every command gets: settings and outputs. */
export interface CliContext {
  readonly config: CliConfig;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdoutTerminal: Terminal;
  readonly stderrTerminal: Terminal;
  /** What the process exits with when the command returns; a command that throws decides by its error. */
  exitCode: number;
}

/** Makes the context of one run. */
export function createContext(
  config: CliConfig,
  stdout: OutputStream,
  stderr: OutputStream,
): CliContext {
  return {
    config,
    stdout,
    stderr,
    stdoutTerminal: terminalOf(stdout, config),
    stderrTerminal: terminalOf(stderr, config),
    exitCode: 0,
  };
}

/** Prints lines for people. */
export function printLines(context: CliContext, lines: readonly string[]): void {
  if (lines.length > 0) context.stdout.write(`${lines.join("\n")}\n`);
}

/** Prints one JSON document for machines. */
export function printJson(context: CliContext, document: unknown | ProblemDocument): void {
  context.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
