import type { Readable } from "node:stream";
import { LINE_BYTES_MAX, type Line } from "../telemetry/line.ts";
import type { LineFile } from "../telemetry/line-file.ts";

/**
 * Copies the lines of a worker to a file that all workers share.
 *
 * Before: worker-process.ts. After: telemetry/line-file.ts.
 * Invariants: a line is whole, since several processes that write to one pipe may cut each other's;
 * what has no end within LINE_BYTES_MAX is left out to its end, and counted, so that memory is bounded.
 */
export function copyLines(from: Readable, to: Pick<LineFile, "add">): void {
  let begun = "";
  /** What follows is the rest of a line that was too long. */
  let isCut = false;
  from.setEncoding("latin1");
  from.on("data", (piece: string) => {
    const lines = (begun + piece).split("\n");
    begun = lines.pop() ?? "";
    for (const line of lines) {
      to.add(lineOf(line, isCut));
      isCut = false;
    }
    if (begun.length <= LINE_BYTES_MAX) return;
    begun = "";
    isCut = true;
  });
  from.on("error", () => undefined);
}

function lineOf(text: string, isCut: boolean): Line {
  const bytes = Buffer.from(`${text}\n`, "latin1");
  return { bytes, length: bytes.length, isCut: isCut || bytes.length > LINE_BYTES_MAX };
}
