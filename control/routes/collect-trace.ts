/**
 * Asks every proxy for its records and builds the trace of one request.
 *
 * Before: routes/traces.ts, routes/probes.ts. After: watch/flush.ts, evidence/trace.ts.
 * Invariant: `complete` is true only if every proxy that could have seen the request was asked and
 * answered, no record of its keys was dropped since it began, and every parent is there.
 */
import type { RootEvidence } from "../evidence/evidence.ts";
import { buildHops, type Incomplete, type SandboxOf } from "../evidence/trace.ts";
import type { TraceDocument } from "../schema/hop.ts";
import type { FlushOutcome } from "../watch/flush.ts";
import type { ControlContext } from "./context.ts";

/** The trace of a root or trace id as it stands after a flush; null if no hop of it is recorded. */
export async function collectTrace(
  context: ControlContext,
  id: string,
): Promise<TraceDocument | null> {
  const flushed = await context.flushes.flush();
  const root = id.length === 16 ? id : context.evidence.rootsOfTraceId(id)[0];
  const evidence = root === undefined ? null : context.evidence.ofRoot(root);
  return evidence === null ? null : traceOf(context, evidence, flushed);
}

function traceOf(
  context: ControlContext,
  evidence: RootEvidence,
  flushed: FlushOutcome,
): TraceDocument {
  const sandboxOf = sandboxLookup(context);
  const tree = buildHops(evidence.records, sandboxOf);
  const incomplete: Incomplete[] = [
    ...silentProxies(context, flushed),
    ...lostProxies(context, evidence.beganMs),
    ...evidence.gaps,
    ...tree.incomplete,
  ];
  const traceIds = distinct(evidence.records.map((record) => record.traceId));
  return {
    root: evidence.root,
    traceIds,
    keys: distinct(evidence.records.map((record) => record.key)),
    complete: incomplete.length === 0,
    incomplete,
    hops: [...tree.hops],
    orphans: orphansOf(context, evidence.root, traceIds, sandboxOf),
  };
}

function sandboxLookup(context: ControlContext): SandboxOf {
  return (workload, key) => context.live.tables.routesOf(workload).get(key)?.route.sandbox ?? null;
}

/** Proxies that did not answer a flush, the first of them by name. */
export function silentProxies(context: ControlContext, flushed: FlushOutcome): Incomplete[] {
  return flushed.silent.slice(0, context.limits.namedProxiesMax).map((instance) => ({
    code: "proxy-silent",
    detail: `proxy ${instance} did not answer when asked for its records`,
  }));
}

/** Proxies whose lease ended since the request began, without a clean stop. */
export function lostProxies(context: ControlContext, beganMs: number): Incomplete[] {
  const lost: Incomplete[] = [];
  if (context.proxies.forgottenHeardAtMs >= beganMs) {
    const detail =
      "a proxy was there when the request began, and was silent until it was forgotten";
    lost.push({ code: "proxy-lost", detail });
  }
  for (const proxy of context.proxies.all()) {
    if (proxy.counts || proxy.heardAtMs < beganMs) continue;
    if (lost.length >= context.limits.namedProxiesMax) break;
    lost.push({
      code: "proxy-lost",
      detail: `proxy ${proxy.instance} was there when the request began and is silent since`,
    });
  }
  return lost;
}

/** Requests with the same trace id that began a root of their own: the mark of their parent was lost. */
function orphansOf(
  context: ControlContext,
  root: string,
  traceIds: readonly string[],
  sandboxOf: SandboxOf,
): TraceDocument["orphans"] {
  const roots = new Set(traceIds.flatMap((id) => context.evidence.rootsOfTraceId(id)));
  roots.delete(root);
  return [...roots].slice(0, context.limits.orphanRootsMax).map((orphan) => {
    const { hops } = buildHops(context.evidence.recordsOf(orphan), sandboxOf);
    return { root: orphan, hops: [...hops] };
  });
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values)].filter((value) => value !== null);
}
