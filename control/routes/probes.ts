/**
 * `POST /v1/probes`: sends a tagged request through a registered proxy and says what it met.
 *
 * Before: server.ts. After: routes/send-probe.ts, routes/collect-trace.ts.
 * Invariants: the tag is strict; only proxies that are registered are called; `matched` is true
 * only if the trace is complete, and of the tag that was sent.
 */
import { parseTagValue, type Tag } from "../../proxy/routing/tag.ts";
import { ControlError } from "../error.ts";
import type { HopDocument, TraceDocument } from "../schema/hop.ts";
import {
  type ProbeBodyDocument,
  ProbeBodySchema,
  type ProbeDocument,
  ProbeSchema,
} from "../schema/probe.ts";
import type { KnownProxy } from "../watch/proxies.ts";
import { collectTrace } from "./collect-trace.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { readBodyDuration } from "./duration.ts";
import { answers } from "./responses.ts";
import { type ProbeAnswer, sendProbe } from "./send-probe.ts";

type Mismatch = ProbeDocument["mismatches"][number];

export function addProbeRoute(app: ControlApp, context: ControlContext): void {
  let underWay = 0;
  app.post(
    "/v1/probes",
    {
      schema: {
        summary: "Send a strictly tagged request and compare its hops with what is expected",
        body: ProbeBodySchema,
        response: answers(ProbeSchema),
      },
    },
    async (request) => {
      if (underWay >= context.limits.probesAtOnceMax) {
        throw new ControlError("too-many", `${underWay} probes are under way`);
      }
      underWay++;
      try {
        return await probe(context, request.body);
      } finally {
        underWay--;
      }
    },
  );
}

async function probe(context: ControlContext, body: ProbeBodyDocument): Promise<ProbeDocument> {
  const { probeMs, probeMsMax } = context.limits;
  const timeoutMs = readBodyDuration("timeout", body.timeout, probeMs, probeMsMax);
  const tag = readKey(body.key);
  const entry = findEntry(context, body.entry);
  const answer = await sendProbe(context, entry, { ...body.request, tag: tag.text, timeoutMs });
  const trace = await traceOf(context, answer);
  const mismatches = [...compareTag(tag.text, trace), ...compare(body.expect ?? {}, trace, answer)];
  return {
    matched: mismatches.length === 0 && trace.complete,
    complete: trace.complete,
    mismatches,
    hops: trace.hops,
    status: answer.status,
    fault: answer.fault,
    trace,
  };
}

/** A probe that was routed by accident would prove nothing: the tag is strict, whatever was asked. */
function readKey(key: string): Tag {
  const strict = key.endsWith("!") ? key : `${key}!`;
  const tag = parseTagValue(strict);
  // Properties and percent-encoding would be read differently, perhaps as not strict.
  if (tag.kind === "keys" && tag.strict && tag.text === strict) return tag;
  throw new ControlError(
    "body-invalid",
    `/key "${key}" is no routing key, nor several joined by ~`,
  );
}

/** By workload, the baseline's own proxy before an edge; else by instance; `edge`: any edge. */
function findEntry(context: ControlContext, entry: string): KnownProxy {
  const isUsable = (proxy: KnownProxy) => proxy.present && proxy.sandbox === null;
  // Others only route calls to it.
  const byWorkload = [...context.proxies.of(entry)].filter(
    (proxy) => isUsable(proxy) && proxy.workloads.includes(entry),
  );
  const byInstance = context.proxies.get(entry);
  const found =
    byWorkload.find((proxy) => proxy.mode === "inbound") ??
    byWorkload.find((proxy) => proxy.mode === "edge") ??
    (byInstance?.present === true && byInstance.mode !== "outbound" ? byInstance : undefined) ??
    (entry === "edge" ? anyEdge(context, isUsable) : undefined);
  if (found !== undefined) return found;
  throw new ControlError("entry-unknown", `no proxy that is present stands at ${entry}`);
}

function anyEdge(
  context: ControlContext,
  isUsable: (proxy: KnownProxy) => boolean,
): KnownProxy | undefined {
  return [...context.proxies.all()].find((proxy) => proxy.mode === "edge" && isUsable(proxy));
}

async function traceOf(context: ControlContext, answer: ProbeAnswer): Promise<TraceDocument> {
  const trace = answer.root === null ? null : await collectTrace(context, answer.root);
  if (trace !== null) return trace;
  const detail =
    answer.root === null
      ? "the entry answered without forklane-trace: its proxy did not see a tag"
      : `no proxy recorded a hop of ${answer.root}`;
  return {
    root: answer.root ?? "",
    traceIds: [],
    keys: [],
    complete: false,
    incomplete: [{ code: "no-record", detail }],
    hops: [],
    orphans: [],
  };
}

/** A host, cookie or header of the request may have held a tag that the entry puts before ours. */
function compareTag(tag: string, { hops: [entry] }: TraceDocument): Mismatch[] {
  if (entry === undefined || entry.tag === tag) return [];
  const why = "the entry took its tag from elsewhere in the request";
  return [{ workload: entry.workload, expected: `the tag ${tag}`, actual: entry.tag, why }];
}

/** Names each expectation that does not hold, and why. */
function compare(
  expect: NonNullable<ProbeBodyDocument["expect"]>,
  trace: TraceDocument,
  answer: ProbeAnswer,
): Mismatch[] {
  const mismatches: Mismatch[] = [];
  for (const [workload, expected] of Object.entries(expect)) {
    const hops = trace.hops.filter((hop) => hop.workload === workload);
    const mismatch = compareOne(workload, expected, hops, trace);
    if (mismatch !== null) mismatches.push(mismatch);
  }
  if (mismatches.length === 0 && !trace.complete) {
    const why = trace.incomplete.map((each) => each.detail).join("; ");
    mismatches.push({ workload: null, expected: "a complete trace", actual: "incomplete", why });
  }
  if (answer.fault !== null && mismatches.length > 0) {
    const why = `a proxy answered by itself: ${answer.fault}`;
    mismatches.push({ workload: null, expected: "an answer", actual: answer.fault, why });
  }
  return mismatches;
}

function compareOne(
  workload: string,
  expected: string,
  hops: readonly HopDocument[],
  trace: TraceDocument,
): Mismatch | null {
  if (hops.length === 0) return expected === "absent" ? null : absent(workload, expected, trace);
  const other = hops.find((hop) => hop.outcome !== expected);
  if (other !== undefined) {
    const why = `reason ${other.reason}, decided by ${other.proxy} at revision ${other.revision}`;
    return { workload, expected, actual: other.outcome, why };
  }
  return expected === "fork" ? unproved(workload, hops) : null;
}

/** The fork was chosen, and a proxy stood next to it, and that proxy turned the request away. */
function unproved(workload: string, hops: readonly HopDocument[]): Mismatch | null {
  const hop = hops.find((each) => each.forkProxy !== null && !each.confirmed);
  if (hop === undefined) return null;
  const why = `the fork's own proxy ${hop.forkProxy ?? ""} did not let it through`;
  return { workload, expected: "fork", actual: "refused", why };
}

function absent(workload: string, expected: string, trace: TraceDocument): Mismatch {
  const orphan = trace.orphans.find(({ hops }) => hops.some((hop) => hop.workload === workload));
  const why =
    orphan === undefined
      ? "no hop of it was recorded: it was not called, or the tag was lost before it"
      : `seen only in ${orphan.root}, joined by trace id: the mark of its parent was lost before it`;
  return { workload, expected, actual: "absent", why };
}
