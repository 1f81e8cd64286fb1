import { parseDuration } from "./duration.ts";
import type { Resource } from "./resource.ts";

/** When a resource ends by itself, and why. */
export interface Expiry {
  /** In milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly reason: "idle" | "sinceUpdate" | "max";
}

/**
 * Says when a resource ends as things stand; null: never by itself.
 *
 * `lastSeenMs` is when a request with its key was last seen, null if none was; a write counts too.
 */
export function expiryOf(resource: Resource, lastSeenMs: number | null): Expiry | null {
  const { ttl } = resource.spec;
  const lastUseMs = Math.max(resource.updatedMs, lastSeenMs ?? 0);
  return earliest([
    deadline(ttl.idle, lastUseMs, "idle"),
    deadline(ttl.sinceUpdate, resource.updatedMs, "sinceUpdate"),
    deadline(ttl.max, resource.createdMs, "max"),
  ]);
}

function deadline(
  text: string | undefined,
  fromMs: number,
  reason: Expiry["reason"],
): Expiry | null {
  const duration = text === undefined ? null : parseDuration(text);
  return duration?.ok === true ? { atMs: fromMs + duration.value, reason } : null;
}

function earliest(expiries: readonly (Expiry | null)[]): Expiry | null {
  let first: Expiry | null = null;
  for (const expiry of expiries) {
    if (expiry !== null && (first === null || expiry.atMs < first.atMs)) first = expiry;
  }
  return first;
}
