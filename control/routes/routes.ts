import { createHash } from "node:crypto";
import { Type } from "typebox";
import { isWorkloadName } from "../../core/workload.ts";
import { ControlError } from "../error.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { matches } from "./etag.ts";
import { answers } from "./responses.ts";

const TableSchema = Type.Object(
  {
    revision: Type.String({ description: "the last that changed anything of this document" }),
    routes: Type.Record(
      Type.String(),
      Type.Object({
        sandbox: Type.String(),
        endpoints: Type.Array(Type.String()),
        onUnavailable: Type.Enum(["fail", "baseline"]),
      }),
    ),
    known: Type.Array(Type.String()),
    expired: Type.Array(Type.String()),
  },
  { description: "a table as `forklane proxy --table` takes it" },
);

const WorkloadParamsSchema = Type.Object({
  namespace: Type.String({ maxLength: 63 }),
  name: Type.String({ maxLength: 63 }),
});

/** `GET /v1/routes/{namespace}/{name}`: the compiled table of one workload, with a strong ETag. */
export function addTableRoute(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/routes/:namespace/:name",
    {
      schema: {
        summary: "Get the compiled routing table of one workload",
        params: WorkloadParamsSchema,
        response: answers(TableSchema),
      },
    },
    async (request, reply) => {
      const workload = `${request.params.namespace}/${request.params.name}`;
      if (!isWorkloadName(workload)) {
        throw new ControlError("query-invalid", `"${workload}" is no namespace/name`);
      }
      const text = tableText(context, workload);
      const etag = createHash("sha256").update(text).digest("base64url").slice(0, 27);
      reply.header("etag", `"${etag}"`).header("cache-control", "no-cache");
      const known = request.headers["if-none-match"];
      if (known !== undefined && matches(known, etag)) return reply.code(304).send();
      return reply.type("application/json").send(text);
    },
  );
}

/** The same text for the same table, and the newest revision that it can claim. */
function tableText(context: ControlContext, workload: string): string {
  const { live } = context;
  const version = Math.max(live.workloadVersion(workload), live.keysVersion);
  const known = JSON.stringify([...live.tables.keys()]);
  const expired = JSON.stringify(live.tables.expiredKeys());
  const routes = live.tables.routesJson(workload);
  return `{"revision":"${live.revisionOf(version)}","routes":${routes},"known":${known},"expired":${expired}}`;
}
