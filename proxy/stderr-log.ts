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
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`);
}
