import { Type } from "typebox";
import { ControlError } from "../error.ts";
import { TraceSchema } from "../schema/hop.ts";
import { collectTrace } from "./collect-trace.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { answers } from "./responses.ts";

const TraceParamsSchema = Type.Object({
  id: Type.String({
    pattern: "^([0-9a-f]{16}|[0-9a-f]{32})$",
    description: "the root that the entry answered (`forklane-trace`), or a trace id",
  }),
});

/** `GET /v1/traces/{id}`: which hops one request took, who served each, and why. */
export function addTraceRoute(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/traces/:id",
    {
      schema: {
        summary: "Get the hops of one request",
        params: TraceParamsSchema,
        response: answers(TraceSchema),
      },
    },
    async (request) => {
      const trace = await collectTrace(context, request.params.id);
      if (trace !== null) return trace;
      throw new ControlError("trace-unknown", `no hop of ${request.params.id} is recorded`);
    },
  );
}
