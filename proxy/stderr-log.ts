import { escapeControls } from "./telemetry/ascii-line.ts";

/** Longest message in characters, before what is escaped in it: a bug with its stack has fewer. */
export const MESSAGE_CHARS_MAX = 8_192;

/**
 * What an operator should know, a line each; standard output is for the access log.
 *
 * Messages name what peers, control and files sent, so none is believed to be one line of plain text.
 */
export function stderrLog(prefix = ""): {
  info(message: string): void;
  warn(message: string): void;
} {
  return {
    info: (message) => writeLine("info", prefix + message),
    warn: (message) => writeLine("warn", prefix + message),
  };
}

function writeLine(level: string, message: string): void {
  const cut = message.length - MESSAGE_CHARS_MAX;
  const rest = cut > 0 ? `... and ${cut} characters` : "";
  const shown = escapeControls(message.slice(0, MESSAGE_CHARS_MAX)) + rest;
  sayTo(process.stderr, `${new Date().toISOString()} ${level} ${shown}\n`);
}

/** Writes to standard output or error; what nobody takes is lost, and harms nothing. */
export function sayTo(stream: NodeJS.WriteStream, text: string): void {
  try {
    stream.write(text);
  } catch {
    // A file on a full disk throws at once; a pipe whose reader has gone tells later (below).
  }
}

/** From now on a reader of standard output or error that goes away is no reason to end. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}
