import type { RouteDocument } from "../../core/watch-events.ts";
import { isWorkloadName } from "../../core/workload.ts";
import { DEFAULT_CARRIERS } from "../../proxy/routing/carrier.ts";
import { decide } from "../../proxy/routing/decide.ts";
import { parseTable, workloadTable } from "../../proxy/routing/table.ts";
import { readTag, type Tag } from "../../proxy/routing/tag.ts";
import { ControlError } from "../error.ts";
import {
  type ExplainBodyDocument,
  ExplainBodySchema,
  type ExplanationDocument,
  ExplanationSchema,
} from "../schema/explain.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { headerFields } from "./header-fields.ts";
import { answers } from "./responses.ts";

/**
 * `POST /v1/explain`: where would this request go, and why? Answered by the proxy's own `decide`.
 *
 * Before: server.ts. After: proxy/routing/decide.ts.
 */
export function addExplainRoute(app: ControlApp, context: ControlContext): void {
  app.post(
    "/v1/explain",
    {
      schema: {
        summary: "Explain where a request would go, by the proxy's own rules",
        body: ExplainBodySchema,
        response: answers(ExplanationSchema),
      },
    },
    async (request) => explain(context, request.body),
  );
}

function explain(context: ControlContext, body: ExplainBodyDocument): ExplanationDocument {
  const { workload } = body;
  if (!isWorkloadName(workload)) {
    throw new ControlError("body-invalid", `/workload "${workload}" is no namespace/name`);
  }
  const tag = readTag(DEFAULT_CARRIERS, headerFields(body.headers));
  const table = tableFor(context, workload, tag);
  const decision = decide(table, tag);
  return {
    workload,
    outcome: decision.outcome,
    reason: decision.reason,
    status: decision.status,
    tag: tag.text,
    strict: tag.strict,
    key: decision.key,
    sandbox: decision.route?.sandbox ?? null,
    endpoints: [...(decision.route?.endpoints ?? [])],
    onUnavailable: decision.route?.onUnavailable ?? null,
    collision: decision.collision,
    revision: table.revision,
  };
}

/** The workload's table as far as the tag's keys go: `decide` looks at nothing else. */
function tableFor(context: ControlContext, workload: string, tag: Tag) {
  const { live } = context;
  const keys = tag.keys.map(({ key }) => key);
  const ofWorkload = live.tables.routesOf(workload);
  const routes: Record<string, RouteDocument> = {};
  for (const key of keys) {
    const entry = ofWorkload.get(key);
    if (entry !== undefined) routes[key] = entry.route;
  }
  const known = keys.filter((key) => live.tables.isKnown(key));
  const expired = keys.filter((key) => live.tables.isExpired(key));
  const table = parseTable({ revision: live.revision, routes, known, expired }, workload);
  if (!table.ok) throw new ControlError("bug", `the table of ${workload}: ${table.error}`);
  return workloadTable(table.value, workload);
}
