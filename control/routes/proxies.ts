import { Type } from "typebox";
import type { ProxyStatus } from "../../core/proxy-status.ts";
import { isWorkloadName } from "../../core/workload.ts";
import { ControlError } from "../error.ts";
import type { BodyError } from "../model/validate.ts";
import {
  type ProxyDocument,
  ProxyInstanceSchema,
  ProxyListSchema,
  ProxyStatusSchema,
} from "../schema/proxy.ts";
import { PageQuerySchema } from "../schema/query.ts";
import type { KnownProxy } from "../watch/proxies.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { pageOf } from "./paging.ts";
import { timeText } from "./resource-status.ts";
import { answers, NO_CONTENT } from "./responses.ts";
import { keepKnown } from "./shape.ts";

/**
 * `/v1/proxies`: who is out there, and what each of them reports.
 *
 * Before: server.ts. After: watch/proxies.ts, watch/readiness.ts.
 */
export function addProxyRoutes(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/proxies",
    {
      schema: {
        summary: "List the proxies, silent ones included",
        querystring: PageQuerySchema,
        response: answers(ProxyListSchema),
      },
    },
    async (request) => {
      const { limit = context.limits.pageItems, cursor } = request.query;
      const instances = [...context.proxies.all()].map((proxy) => proxy.instance);
      return pageOf(instances, { limit, cursor }, (name) => proxyDocument(context, name));
    },
  );
  app.post(
    "/v1/proxies/:instance/status",
    {
      schema: {
        summary: "Report what a proxy has applied and seen (core/proxy-status.ts)",
        params: Type.Object({ instance: ProxyInstanceSchema }),
        body: ProxyStatusSchema,
        response: NO_CONTENT,
      },
    },
    async (request, reply) => {
      checkWorkloads("workloads", request.body.workloads);
      checkWorkloads("callees", request.body.callees ?? []);
      const status = keepKnown(ProxyStatusSchema, request.body);
      report(context, request.params.instance, status, request.ip);
      reply.code(204);
    },
  );
}

function checkWorkloads(property: string, workloads: readonly string[]): void {
  const errors: BodyError[] = workloads.flatMap((name, index) =>
    isWorkloadName(name)
      ? []
      : [{ path: `/${property}/${index}`, message: `"${name}" is no namespace/name` }],
  );
  if (errors.length === 0) return;
  throw new ControlError("body-invalid", `/${property}: a name is wrong`, { errors });
}

function report(
  context: ControlContext,
  instance: string,
  status: ProxyStatus,
  from: string,
): void {
  const outcome = context.proxies.report(instance, status, from);
  if (!outcome.ok) {
    throw new ControlError(
      "limit-reached",
      `${context.limits.proxiesMax} proxies are known already`,
    );
  }
  context.ready.touch();
  if (outcome.value === "left") context.flushes.left(instance);
  if (outcome.value === "updated") return;
  const type = outcome.value === "joined" ? "created" : "deleted";
  context.feed.tell("resources", "proxy", { type, kind: "proxy", name: instance });
}

function proxyDocument(context: ControlContext, instance: string): ProxyDocument {
  const proxy = context.proxies.get(instance);
  if (proxy === null) throw new ControlError("bug", `proxy ${instance} is gone in one turn`);
  const { status } = proxy;
  return {
    instance,
    workloads: [...status.workloads],
    callees: [...(status.callees ?? [])],
    mode: status.mode,
    sandbox: status.sandbox,
    listen: status.listen,
    admin: status.admin,
    version: status.version,
    present: proxy.present,
    connected: proxy.connected,
    lastStatusAt: timeText(proxy.lastStatusMs),
    applied: [...status.applied],
    behind: behindOf(context, proxy),
    rejected: status.rejected,
    endpoints: { ...status.endpoints },
    counters: { ...status.counters },
  };
}

function behindOf(context: ControlContext, proxy: KnownProxy): number | null {
  return proxy.appliedVersion < 0 ? null : context.live.version - proxy.appliedVersion;
}
