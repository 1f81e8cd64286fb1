/** What an operator should know, a line each; standard output is for the access log. */
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
  sayTo(process.stderr, `${new Date().toISOString()} ${level} ${message}\n`);
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
