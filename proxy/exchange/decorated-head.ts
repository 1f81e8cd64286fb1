import { type FieldList, knownValue } from "../message/field-list.ts";
import type { ResponseHead } from "../message/head.ts";
import { type HeadEdit, type WrittenLine, writtenLine } from "../message/head-edit.ts";
import { httpDate } from "../message/http-date.ts";
import { FIELD } from "../message/known-field.ts";
import { type Decision, WRITTEN_DECISIONS_MAX } from "../routing/decision.ts";
import { keyFromHost } from "../routing/edge-entry.ts";
import { RecurringMap } from "../routing/recurring-map.ts";
import type { ExchangeContext } from "./context.ts";
import { forwardResponseHead } from "./forwarded-head.ts";
import { type PlacedHop, TRACE_AT, TRACE_CHARS, TRACE_HEADER } from "./placed-hop.ts";

/** What the head of a response says of its exchange. */
export interface Decorated {
  /** Who was called; empty where nobody knows. */
  readonly workload: string;
  readonly decision: Decision;
  readonly revision: string;
  readonly tagText: string;
  readonly place: PlacedHop;
  /** Fields of the request. */
  readonly fields: FieldList;
}

/**
 * Makes a response head fit to be passed down: hop-by-hop out, the proof of the decision in.
 *
 * Before: the upstream connection. After: the downstream connection.
 * Invariant: `forklane-decision` is always the word of the proxy that the caller talks to, or of the
 * one that this proxy talked to in its place.
 */
export function editResponseHead(
  context: ExchangeContext,
  exchange: Decorated,
  head: ResponseHead,
  edit: HeadEdit,
  isUpgrade: boolean,
): void {
  forwardResponseHead(head, edit, isUpgrade);
  if (head.status < 200 && !isUpgrade) {
    // Ours is said with the final response; what comes before it can only be somebody else's.
    edit.dropKnown(head.fields, FIELD.FORKLANE_DECISION);
    edit.dropKnown(head.fields, FIELD.FORKLANE_TRACE);
    return;
  }
  // RFC 9110 section 6.6.1: who forwards a response without a date adds one.
  if (!hasDate(head, edit)) {
    edit.add("date", httpDate(context.clock.epochMs()));
  }
  if (context.mode === "edge") addAtEdge(context, exchange, head, edit);
  else if (context.mode === "outbound") addToCaller(exchange, head, edit);
  else addInside(exchange, head, edit);
}

/** One that `Connection` named was taken out, and is not there any more. */
function hasDate({ fields }: ResponseHead, edit: HeadEdit): boolean {
  if ((fields.present & (1 << FIELD.DATE)) === 0) return false;
  return edit.isEmpty || !edit.isDropped(fields.findKnown(FIELD.DATE, 0));
}

function addInside(exchange: Decorated, head: ResponseHead, edit: HeadEdit): void {
  edit.dropKnown(head.fields, FIELD.FORKLANE_DECISION);
  edit.dropKnown(head.fields, FIELD.FORKLANE_TRACE);
  if (exchange.tagText === "") return;
  addDecision(exchange, edit);
  if (exchange.place.isEntry) addTrace(exchange.place, edit);
}

/**
 * At the caller: the callee's proxy decides last, so its word on this call is passed on, or our own
 * where the callee has no proxy. Of a callee that nobody knows nothing is judged.
 */
function addToCaller(exchange: Decorated, head: ResponseHead, edit: HeadEdit): void {
  if (exchange.workload === "") return;
  const { fields } = head;
  const said = exchange.tagText === "" ? null : knownValue(fields, FIELD.FORKLANE_DECISION);
  edit.dropKnown(fields, FIELD.FORKLANE_DECISION);
  edit.dropKnown(fields, FIELD.FORKLANE_TRACE);
  if (exchange.tagText === "") return;
  const isOfCallee = said?.startsWith(`${exchange.workload};`) === true;
  if (isOfCallee) edit.add("forklane-decision", said);
  else addDecision(exchange, edit);
  if (exchange.place.isEntry) addTrace(exchange.place, edit);
}

/**
 * At the edge the caller may see the decision if it knew a key: then the first sidecar's word is
 * passed on, or the edge's own where there was none.
 */
function addAtEdge(
  context: ExchangeContext,
  exchange: Decorated,
  head: ResponseHead,
  edit: HeadEdit,
): void {
  const { fields } = head;
  const mayHaveSeen = exchange.tagText !== "" && knewKey(exchange.decision);
  if (!mayHaveSeen) {
    edit.dropKnown(fields, FIELD.FORKLANE_DECISION);
    edit.dropKnown(fields, FIELD.FORKLANE_TRACE);
  } else if ((fields.present & (1 << FIELD.FORKLANE_DECISION)) === 0) {
    addDecision(exchange, edit);
  }
  if (mayHaveSeen && exchange.place.isEntry) {
    edit.dropKnown(fields, FIELD.FORKLANE_TRACE);
    addTrace(exchange.place, edit);
  }
  guardCaches(context, exchange, head, edit);
}

function addTrace({ bytes, start }: PlacedHop, edit: HeadEdit): void {
  edit.addLine(TRACE_HEADER, bytes, start + TRACE_AT, start + TRACE_AT + TRACE_CHARS);
}

function knewKey(decision: Decision): boolean {
  const { reason } = decision;
  return reason === "fork" || reason === "not-forked" || reason === "fork-down";
}

/**
 * Keeps shared caches from mixing sandboxes: where one URL has several answers, `Vary` says by
 * what they differ, on untagged answers too, and tagged ones are private (RFC 9111 section 4.1).
 */
function guardCaches(
  context: ExchangeContext,
  exchange: Decorated,
  head: ResponseHead,
  edit: HeadEdit,
): void {
  const hostAt = exchange.fields.find("host", 0);
  const hasKeyInHost = hostAt >= 0 && keyFromHost(exchange.fields.value(hostAt)) !== null;
  if (hasKeyInHost && context.entries.includes("host")) return;
  edit.add("vary", varyBy(context));
  if (exchange.tagText === "") return;
  const directives: string[] = [];
  for (let i = 0; i < head.fields.count; i++) {
    const name = head.fields.name(i).toLowerCase();
    if (name === "cache-control") directives.push(...head.fields.value(i).split(","));
    if (name === "cache-control" || SHARED_CACHE_FIELDS.has(name)) edit.drop(i);
  }
  edit.add("cache-control", privateDirectives(directives));
}

/** Fields that speak to shared caches only, and could still allow one to keep a tagged answer. */
const SHARED_CACHE_FIELDS: ReadonlySet<string> = new Set([
  "cdn-cache-control",
  "surrogate-control",
  "x-accel-expires",
]);

/** What the application said to its caller's own cache, and nothing to shared ones. */
function privateDirectives(directives: readonly string[]): string {
  const kept = directives
    .map((directive) => directive.trim())
    .filter((directive) => directive !== "" && !/^(?:public|private|s-maxage)\b/i.test(directive));
  // Stronger than private already, and what our own answers say.
  return kept.includes("no-store") ? kept.join(", ") : ["private", ...kept].join(", ");
}

function varyBy(context: ExchangeContext): string {
  const names = new Set<string>(["baggage", "forklane-key", ...context.carriers.otherNames]);
  if (context.entries.includes("cookie")) names.add("cookie");
  return [...names].join(", ");
}

/** What a decision was written as last; decisions are shared by many exchanges. */
const writtenDecisions = new RecurringMap<Decision, WrittenDecision>(WRITTEN_DECISIONS_MAX);

interface WrittenDecision {
  readonly workload: string;
  readonly revision: string;
  readonly line: WrittenLine;
}

function addDecision({ workload, decision, revision }: Decorated, edit: HeadEdit): void {
  const written = writtenDecisions.get(decision);
  if (written?.revision === revision && written.workload === workload) {
    edit.addWritten(written.line);
    return;
  }
  const text = writeDecision(workload, decision, revision);
  edit.add("forklane-decision", text);
  if (!writtenDecisions.admits(decision)) return;
  const line = writtenLine("forklane-decision", text);
  writtenDecisions.keep(decision, { workload, revision, line });
}

function writeDecision(workload: string, decision: Decision, revision: string): string {
  const { outcome, key, reason, collision } = decision;
  const keyPart = key === null ? "" : ` key=${key};`;
  const collisionPart = collision === null ? "" : `; collision=${collision}`;
  return `${workload}; ${outcome};${keyPart} reason=${reason}; rev=${revision || "none"}${collisionPart}`;
}
