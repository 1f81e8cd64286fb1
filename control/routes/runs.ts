/**
 * `/v1/runs`: announces a run to the proxies, and judges it from what they recorded.
 *
 * Before: server.ts. After: evidence/runs.ts, watch/watchers.ts, verify/judge.
 * Invariants: the judge sees control's own records, never what a caller claims; a run is judged
 * once, and answers the same afterwards.
 */
import { Type } from "typebox";
import type { HopRecord } from "../../core/hop-record.ts";
import type { Place, PropagationEvidence } from "../../verify/judge/propagation/evidence.ts";
import { judgePropagation } from "../../verify/judge/propagation/judge-propagation.ts";
import { edgesOf } from "../../verify/judge/propagation/probe-tree.ts";
import { ControlError } from "../error.ts";
import type { Run } from "../evidence/runs.ts";
import {
  RunBodySchema,
  type RunDocument,
  RunSchema,
  VerdictBodySchema,
  type VerdictDocument,
  VerdictSchema,
} from "../schema/run.ts";
import type { FlushOutcome } from "../watch/flush.ts";
import type { KnownProxy } from "../watch/proxies.ts";
import { lostProxies, silentProxies } from "./collect-trace.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { readBodyDuration } from "./duration.ts";
import { timeText } from "./resource-status.ts";
import { answers } from "./responses.ts";

const RunParamsSchema = Type.Object({ id: Type.String({ pattern: "^[0-9a-f]{16}$" }) });

export function addRunRoutes(app: ControlApp, context: ControlContext): void {
  const create = {
    summary: "Announce a run: proxies observe for as long as it is open",
    body: RunBodySchema,
    response: answers(RunSchema, 201),
  };
  app.post("/v1/runs", { schema: create }, async (request, reply) => {
    const run = openRun(context, request.body.duration);
    // A proxy answers in the order of the stream: who answers this has heard of the run.
    const flushed = await context.flushes.flush();
    reply.code(201);
    return runDocument(context, run, flushed);
  });
  const get = { summary: "Get a run", params: RunParamsSchema, response: answers(RunSchema) };
  app.get("/v1/runs/:id", { schema: get }, async (request) =>
    runDocument(context, runOf(context, request.params.id), null),
  );
  const judge = {
    summary: "End a run, and judge it from the records that control holds",
    params: RunParamsSchema,
    body: VerdictBodySchema,
    response: answers(VerdictSchema),
  };
  app.post("/v1/runs/:id/verdict", { schema: judge }, async (request) =>
    judgeRun(context, request.params.id, request.body.roots),
  );
}

function openRun(context: ControlContext, duration: string | undefined): Run<VerdictDocument> {
  const { runMs, runMsMax, runsOpenMax } = context.limits;
  const durationMs = readBodyDuration("duration", duration, runMs, runMsMax);
  const run = context.runs.open("propagation", durationMs);
  if (!run.ok) throw new ControlError("too-many", `${runsOpenMax} runs are open`);
  context.watchers.announceRuns();
  return run.value;
}

function runOf(context: ControlContext, id: string): Run<VerdictDocument> {
  const run = context.runs.get(id);
  if (run !== null) return run;
  throw new ControlError("run-unknown", `there is no run ${id}`);
}

function runDocument(
  context: ControlContext,
  { id }: Run<VerdictDocument>,
  flushed: FlushOutcome | null,
): RunDocument {
  const run = runOf(context, id);
  return {
    id,
    kind: run.kind,
    open: context.runs.isOpen(id),
    openedAt: timeText(run.openedEpochMs),
    until: timeText(run.openedEpochMs + run.untilMs - run.openedAtMs),
    observing: flushed === null ? null : flushed.answered.length,
    silent: flushed === null ? [] : flushed.silent.slice(0, context.limits.namedProxiesMax),
    requests: run.roots.size,
    observations: run.observations.length,
    verdict: run.verdict,
  };
}

async function judgeRun(
  context: ControlContext,
  id: string,
  roots: readonly string[] | undefined,
): Promise<VerdictDocument> {
  runOf(context, id);
  const flushed = await context.flushes.flush();
  const run = runOf(context, id);
  if (run.verdict !== null) return run.verdict;
  const evidence = collect(context, run, roots ?? finishedRoots(context, run), flushed);
  const judged = judgePropagation(evidence);
  const verdict: VerdictDocument = {
    ...judged,
    findings: judged.findings.map((finding) => ({ ...finding, from: [...finding.from] })),
    notes: [...judged.notes],
    edges: [...judged.edges],
    incomplete: [...judged.incomplete],
  };
  context.runs.judged(id, verdict);
  context.watchers.announceRuns();
  return verdict;
}

/** Requests that are over: of one under way, the entry is recorded last. */
function finishedRoots(context: ControlContext, run: Run<VerdictDocument>): string[] {
  return [...run.roots].filter((root) => {
    const records = context.evidence.recordsOf(root);
    const hops = new Set(records.map(({ hop }) => hop));
    return records.length > 0 && records.every(({ parent }) => parent === null || hops.has(parent));
  });
}

function collect(
  context: ControlContext,
  run: Run<VerdictDocument>,
  roots: readonly string[],
  flushed: FlushOutcome,
): PropagationEvidence {
  const { evidence, limits, clock } = context;
  const proxies = [...context.proxies.all()].filter((proxy) => proxy.counts);
  const judged = new Set(roots);
  const held = [...judged].flatMap((root) => evidence.ofRoot(root) ?? []);
  const own = held.flatMap(({ records }) => records);
  const joined = joinedRoots(context, own, judged);
  const joinedHops = joined.slice(0, limits.runRootsMax).map((root) => evidence.recordsOf(root));
  const incomplete = [
    ...silentProxies(context, flushed),
    ...lostProxies(context, run.openedAtMs),
    ...held.flatMap(({ gaps }) => gaps),
  ];
  return {
    roots: held.map(({ root }) => root),
    hops: [...own, ...joinedHops.flat()],
    observations: run.observations,
    expected: edgesOf(earlier(evidence.newestRoots(limits.learnRootsMax), judged)),
    places: placesOf(proxies),
    observed: observedAt(proxies),
    observedMs: Math.min(clock.nowMs(), run.untilMs) - run.openedAtMs,
    gaps: [
      ...new Set(incomplete.map(({ detail }) => detail)),
      ...leftOut(run, judged.size, held.length),
      ...(joined.length > limits.runRootsMax
        ? [`more than ${limits.runRootsMax} other requests have their trace ids`]
        : []),
    ],
  };
}

/** Requests that have a trace id of the judged ones, and began a root of their own. */
function joinedRoots(
  { evidence }: ControlContext,
  hops: readonly HopRecord[],
  judged: ReadonlySet<string>,
): string[] {
  const traceIds = new Set(hops.map(({ traceId }) => traceId));
  const roots = [...traceIds].flatMap((id) => (id === null ? [] : evidence.rootsOfTraceId(id)));
  return [...new Set(roots)].filter((root) => !judged.has(root));
}

/** Records of requests that are not judged: what they took is what one expects. */
function earlier(
  roots: readonly (readonly HopRecord[])[],
  judged: ReadonlySet<string>,
): HopRecord[] {
  return roots.flat().filter(({ root }) => !judged.has(root));
}

function leftOut(run: Run<VerdictDocument>, rootCount: number, heldCount: number): string[] {
  const { observationsDropped, rootsDropped } = run;
  const missing = rootCount - heldCount;
  return [
    ...(observationsDropped > 0 ? [`${observationsDropped} observations were left out`] : []),
    ...(rootsDropped > 0 ? [`more than ${run.roots.size} tagged requests came`] : []),
    ...(missing > 0 ? [`no record of ${missing} of ${rootCount} requests`] : []),
  ];
}

/** Workloads of which a proxy sees what arrives: what a call lost is seen there. */
function observedAt(proxies: readonly KnownProxy[]): string[] {
  const there = proxies.filter(({ status }) => status.mode !== "outbound");
  return [...new Set(there.flatMap(({ status }) => status.workloads))];
}

/** Addresses from which the proxies of one workload report, and no others: what calls from there is it. */
function placesOf(proxies: readonly KnownProxy[]): Place[] {
  const byAddress = Map.groupBy(proxies, ({ from }) => from.replace(/^::ffff:/, ""));
  return [...byAddress].flatMap(([address, there]) => {
    const workloads = new Set(there.flatMap(({ status }) => status.workloads));
    const [workload] = workloads;
    if (workload === undefined || workloads.size > 1) return [];
    const sandboxes = new Set(there.map(({ sandbox }) => sandbox));
    const named = [...sandboxes].filter((name) => name !== null);
    return [{ address, workload, sandboxes: named.length === sandboxes.size ? named : [] }];
  });
}
