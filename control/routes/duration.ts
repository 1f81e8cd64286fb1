import { ControlError } from "../error.ts";
import { parseDuration } from "../model/duration.ts";

/** Reads a duration of a query or body in milliseconds; refuses more than `msMax`. */
export function readDuration(
  setting: string,
  text: string | undefined,
  fallbackMs: number,
  msMax: number,
): number {
  if (text === undefined) return fallbackMs;
  const duration = parseDuration(text);
  if (!duration.ok) throw new ControlError("query-invalid", `${setting}: ${duration.error}`);
  if (duration.value <= msMax) return duration.value;
  throw new ControlError("query-invalid", `${setting}: "${text}" is more than ${msMax / 1000}s`);
}
