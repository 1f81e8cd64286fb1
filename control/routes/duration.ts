import { err, type Result } from "../../core/result.ts";
import { ControlError } from "../error.ts";
import { parseDuration } from "../model/duration.ts";

/** Reads a duration of a query in milliseconds, none included; refuses more than `msMax`. */
export function readDuration(
  parameter: string,
  text: string | undefined,
  fallbackMs: number,
  msMax: number,
): number {
  if (text === undefined) return fallbackMs;
  const duration = durationWithin(text, 0, msMax);
  if (duration.ok) return duration.value;
  throw new ControlError("query-invalid", `${parameter}: ${duration.error}`);
}

/** Reads a duration of a body in milliseconds; refuses none, and more than `msMax`. */
export function readBodyDuration(
  property: string,
  text: string | undefined,
  fallbackMs: number,
  msMax: number,
): number {
  if (text === undefined) return fallbackMs;
  const duration = durationWithin(text, 1, msMax);
  if (duration.ok) return duration.value;
  const errors = [{ path: `/${property}`, message: duration.error }];
  throw new ControlError("body-invalid", `/${property} ${duration.error}`, { errors });
}

function durationWithin(text: string, msMin: number, msMax: number): Result<number, string> {
  const duration = parseDuration(text);
  if (!duration.ok) return duration;
  if (duration.value < msMin) return err(`"${text}" is no time at all`);
  return duration.value > msMax ? err(`"${text}" is more than ${msMax / 1000}s`) : duration;
}
