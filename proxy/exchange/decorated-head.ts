import type { FieldList } from "../message/field-list.ts";
import type { ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { httpDate } from "../message/http-date.ts";
import { FIELD } from "../message/known-field.ts";
import type { Decision } from "../routing/decision.ts";
import { keyFromHost } from "../routing/edge-entry.ts";
import type { ExchangeContext } from "./context.ts";
import { forwardResponseHead } from "./forwarded-head.ts";

/** What the head of a response says of its exchange. */
export interface Decorated {
  readonly decision: Decision;
  readonly revision: string;
  readonly tagText: string;
  readonly root: string;
  readonly isEntry: boolean;
  /** Fields of the request. */
  readonly fields: FieldList;
}

/**
 * Makes a response head fit to be passed down: hop-by-hop out, the proof of the decision in.
 *
 * Before: the upstream connection. After: the downstream connection.
 * Invariant: `forklane-decision` is always the word of the proxy that the caller talks to.
 */
export function editResponseHead(
  context: ExchangeContext,
  exchange: Decorated,
  head: ResponseHead,
  edit: HeadEdit,
  isUpgrade: boolean,
): void {
  forwardResponseHead(head, edit, isUpgrade);
  if (head.status < 200 && !isUpgrade) return;
  // RFC 9110 section 6.6.1: who forwards a response without a date adds one.
  if ((head.fields.present & (1 << FIELD.DATE)) === 0) {
    edit.add("date", httpDate(context.clock.epochMs()));
  }
  if (context.mode === "edge") addAtEdge(context, exchange, head, edit);
  else addInside(context, exchange, head, edit);
}

function addInside(
  context: ExchangeContext,
  exchange: Decorated,
  head: ResponseHead,
  edit: HeadEdit,
): void {
  dropField(head.fields, edit, FIELD.FORKLANE_DECISION);
  dropField(head.fields, edit, FIELD.FORKLANE_TRACE);
  if (exchange.tagText === "") return;
  edit.add("forklane-decision", decisionText(context.workload, exchange));
  if (exchange.isEntry) edit.add("forklane-trace", exchange.root);
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
    dropField(fields, edit, FIELD.FORKLANE_DECISION);
    dropField(fields, edit, FIELD.FORKLANE_TRACE);
  } else if ((fields.present & (1 << FIELD.FORKLANE_DECISION)) === 0) {
    edit.add("forklane-decision", decisionText(context.workload, exchange));
  }
  if (mayHaveSeen && exchange.isEntry) {
    dropField(fields, edit, FIELD.FORKLANE_TRACE);
    edit.add("forklane-trace", exchange.root);
  }
  guardCaches(context, exchange, head, edit);
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

function decisionText(workload: string, exchange: Decorated): string {
  const { outcome, key, reason, collision } = exchange.decision;
  const keyPart = key === null ? "" : ` key=${key};`;
  const collisionPart = collision === null ? "" : `; collision=${collision}`;
  return `${workload}; ${outcome};${keyPart} reason=${reason}; rev=${exchange.revision || "none"}${collisionPart}`;
}

function dropField(fields: FieldList, edit: HeadEdit, id: number): void {
  if ((fields.present & (1 << id)) === 0) return;
  for (let i = 0; i < fields.count; i++) {
    if (fields.id(i) === id) edit.drop(i);
  }
}
