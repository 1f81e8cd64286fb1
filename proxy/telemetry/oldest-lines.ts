/** Lines to send, as one text. */
export interface OldestLines {
  readonly lines: string;
  readonly count: number;
}

/**
 * The first of `lines`, at most `bytesMax` bytes of them but at least one; null if there are none.
 *
 * Before: telemetry/observations.ts, supervisor/evidence-relay.ts. After: watch/report.ts.
 * Each is ASCII, its line feed included, so that its characters are its bytes.
 */
export function oldestLines(lines: readonly string[], bytesMax: number): OldestLines | null {
  let bytes = 0;
  let count = 0;
  for (const line of lines) {
    bytes += line.length;
    if (bytes > bytesMax && count > 0) break;
    count++;
  }
  return count === 0 ? null : { lines: lines.slice(0, count).join(""), count };
}
