import { Type } from "typebox";
import type { ControlApp, ControlContext } from "./context.ts";
import type { ControlMetrics } from "./metrics.ts";
import { answers } from "./responses.ts";

const HealthSchema = Type.Object({ status: Type.String() });
const ReadySchema = Type.Object({ status: Type.String(), revision: Type.String() });

/** `/healthz`, `/readyz` and `/metrics`: for whoever keeps control running. */
export function addHealthRoutes(
  app: ControlApp,
  context: ControlContext,
  metrics: ControlMetrics,
): void {
  app.get(
    "/healthz",
    { schema: { summary: "Control runs", response: answers(HealthSchema) } },
    async () => ({ status: "ok" }),
  );
  app.get(
    "/readyz",
    { schema: { summary: "Control has its state and serves it", response: answers(ReadySchema) } },
    async () => ({ status: "ready", revision: context.live.revision }),
  );
  app.get("/metrics", { schema: { hide: true } }, async (_request, reply) => {
    const text = await metrics.text();
    return reply.type(metrics.contentType).send(text);
  });
}
