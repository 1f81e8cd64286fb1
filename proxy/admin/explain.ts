import { err, ok, type Result } from "../../core/result.ts";
import type { ProxyConfig } from "../config.ts";
import type { Calls } from "../routing/callees.ts";
import { decide, decideAtFork } from "../routing/decide.ts";
import type { Decision } from "../routing/decision.ts";
import { readEntry } from "../routing/edge-entry.ts";
import type { WorkloadTable } from "../routing/table.ts";
import { type CarrierFields, NO_TAG, readTag, type Tag } from "../routing/tag.ts";

/**
 * Says where a request with these headers would go, and why, by the proxy's own decision.
 *
 * Before: admin.ts. After: routing/decide.ts. Asks, and changes nothing.
 */

/** Headers of one question. */
const HEADERS_MAX = 100;

/** The answer of `POST /explain`. */
export interface Explanation {
  readonly workload: string;
  /** The tag as it was read; empty where there is none. */
  readonly tag: string;
  readonly decision: Decision["outcome"];
  readonly reason: Decision["reason"];
  readonly key: string | null;
  /** Status of the answer if refused; 0 otherwise. */
  readonly status: number;
  readonly sandbox: string | null;
  readonly endpoints: readonly string[];
  readonly collision: string | null;
  readonly revision: string;
}

/**
 * Answers `{"headers": {"baggage": "sandbox=jane-42"}}`, for a call of the service with
 * `"callee": "cart.shop:8080"` beside them; the error says what is wrong with it.
 */
export function explain(
  body: string,
  table: WorkloadTable,
  config: Pick<ProxyConfig, "mode" | "carriers" | "entries" | "sandbox">,
  calls: Calls | null = null,
): Result<Explanation, string> {
  const question = parseJson(body) as Question | null;
  const fields = parseHeaders(question);
  if (!fields.ok) return fields;
  const tag = tagOf(fields.value, config);
  if (question?.callee !== undefined || config.mode === "outbound") {
    return explainCall(question?.callee, tag, calls);
  }
  const decision =
    config.sandbox === null ? decide(table, tag) : decideAtFork(table, tag, config.sandbox);
  return ok(explanationOf(table, tag, decision));
}

/** At an edge that of somebody outside, whose carriers are not believed. */
function tagOf(
  fields: CarrierFields,
  { mode, carriers, entries }: Pick<ProxyConfig, "mode" | "carriers" | "entries">,
): Tag {
  if (mode !== "edge") return readTag(carriers, fields);
  const hostAt = fields.find("host", 0);
  return readEntry(entries, hostAt < 0 ? "" : fields.value(hostAt), fields)?.tag ?? NO_TAG;
}

interface Question {
  readonly headers?: unknown;
  /** The host that a call names. */
  readonly callee?: unknown;
}

function explainCall(callee: unknown, tag: Tag, calls: Calls | null): Result<Explanation, string> {
  if (calls === null) return err("this proxy takes no calls of its service; leave callee out");
  if (typeof callee !== "string")
    return err('say whom the call is for: "callee": "cart.shop:8080"');
  const table = calls.callees.byHost(callee);
  if (table === null)
    return err(`${JSON.stringify(callee.slice(0, 80))} names no workload of the table`);
  const given = tag.kind === "none" ? (calls.sandboxTag ?? tag) : tag;
  return ok(explanationOf(table, given, decide(table, given)));
}

function explanationOf(table: WorkloadTable, tag: Tag, decision: Decision): Explanation {
  return {
    workload: table.workload,
    tag: tag.text,
    decision: decision.outcome,
    reason: decision.reason,
    key: decision.key,
    status: decision.status,
    sandbox: decision.route?.sandbox ?? null,
    endpoints: decision.route?.endpoints ?? [],
    collision: decision.collision,
    revision: table.revision,
  };
}

function parseHeaders(question: Question | null): Result<CarrierFields, string> {
  const headers = question?.headers;
  const shape = 'the body is {"headers": {"name": "value", ...}}';
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return err(shape);
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== "string") return err(`${shape}; "${name.slice(0, 80)}" has no text`);
      pairs.push([name.toLowerCase(), each.trim()]);
    }
  }
  if (pairs.length > HEADERS_MAX) return err(`at most ${HEADERS_MAX} headers are read`);
  return ok(new GivenFields(pairs));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The headers of a question, as routing reads those of a request. */
class GivenFields implements CarrierFields {
  readonly #pairs: readonly (readonly [string, string])[];

  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#pairs = pairs;
  }

  value(index: number): string {
    return this.#pairs[index]?.[1] ?? "";
  }

  find(name: string, from: number): number {
    return this.#pairs.findIndex(([each], index) => index >= from && each === name);
  }
}
