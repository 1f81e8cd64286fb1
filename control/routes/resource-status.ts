import { expiryOf } from "../model/expiry.ts";
import { etagOf, type Resource } from "../model/resource.ts";
import type { SandboxDocument } from "../schema/sandbox.ts";
import type { ControlContext } from "./context.ts";

/** What is read-only in every resource: readiness, times, entity tag. */
export function statusOf(context: ControlContext, resource: Resource): SandboxDocument["status"] {
  const state = context.ready.of(resource.kind, resource.name);
  const lastSeenMs = context.proxies.lastSeenMs(resource.spec.routingKey);
  return {
    ready: state?.ready ?? false,
    conditions: (state?.conditions ?? []).map((condition) => ({ ...condition })),
    unconfirmed: [...(state?.unconfirmed ?? [])],
    revision: state?.revision ?? context.live.revisionOf(resource.version),
    etag: etagOf(resource),
    createdAt: timeText(resource.createdMs),
    updatedAt: timeText(resource.updatedMs),
    lastSeenAt: lastSeenMs === null ? null : timeText(lastSeenMs),
    expiresAt: timeTextOrNull(expiryOf(resource, lastSeenMs)?.atMs),
  };
}

function timeTextOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : timeText(ms);
}

/** Milliseconds since the Unix epoch as RFC 3339. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
