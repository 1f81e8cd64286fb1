import { err, ok, type Result } from "../../core/result.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** One number and one unit: `500ms`, `30s`, `90m`, `2h`, `1d`. */
export const DURATION_PATTERN = "^[0-9]{1,6}(ms|s|m|h|d)$";
const DURATION = /^([0-9]{1,6})(ms|s|m|h|d)$/;

/** Reads a duration such as `2h` as milliseconds; the error says what is allowed. */
export function parseDuration(text: string): Result<number, string> {
  const match = DURATION.exec(text);
  const unitMs = match === null ? undefined : UNIT_MS[match[2] ?? ""];
  if (match === null || unitMs === undefined) {
    return err(`"${text.slice(0, 40)}" is no duration such as 500ms, 30s, 90m, 2h or 1d`);
  }
  return ok(Number(match[1]) * unitMs);
}
