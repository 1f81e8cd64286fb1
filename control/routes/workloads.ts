import { pageSchema } from "../schema/page.ts";
import { type WorkloadDocument, WorkloadSchema } from "../schema/proxy.ts";
import { PageQuerySchema } from "../schema/query.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { pageOf } from "./paging.ts";
import { answers } from "./responses.ts";

/** Forks of one workload that its document shows. */
const FORKS_SHOWN = 100;

/** `/v1/workloads`: the workloads that proxies stand at or sandboxes fork. */
export function addWorkloadRoutes(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/workloads",
    {
      schema: {
        summary: "List the workloads that proxies stand at or sandboxes fork",
        querystring: PageQuerySchema,
        response: answers(pageSchema(WorkloadSchema)),
      },
    },
    async (request) => {
      const { limit = context.limits.pageItems, cursor } = request.query;
      const names = new Set([...context.proxies.workloads(), ...context.live.tables.workloads()]);
      return pageOf(names, { limit, cursor }, (name) => workloadDocument(context, name));
    },
  );
}

function workloadDocument(context: ControlContext, name: string): WorkloadDocument {
  const present = [...context.proxies.of(name)].filter(
    (proxy) => proxy.present && proxy.workloads.includes(name),
  );
  const baseline = present.filter((proxy) => proxy.sandbox === null && proxy.mode !== "outbound");
  const routes = context.live.tables.routesOf(name);
  const forks = [...routes].slice(0, FORKS_SHOWN).map(([key, { route }]) => ({
    key,
    sandbox: route.sandbox,
    endpoints: [...route.endpoints],
  }));
  return {
    name,
    proxies: present.map((proxy) => proxy.instance),
    listen: baseline.map((proxy) => proxy.status.listen),
    forks,
    forkCount: routes.size,
    revision: context.live.revisionOf(context.live.workloadVersion(name)),
  };
}
