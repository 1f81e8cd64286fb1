import type { FastifyReply } from "fastify";
import { ControlError } from "../error.ts";
import { NameParamsSchema } from "../schema/query.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { streamOf } from "./responses.ts";
import { onStreamEnd, openStream } from "./stream.ts";

/**
 * `/v1/events` and `/v1/sandboxes/{name}/exchanges`: what happens, as it happens.
 *
 * Before: server.ts. After: watch/feed.ts.
 */
export function addEventRoutes(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/events",
    {
      exposeHeadRoute: false,
      schema: {
        summary: "Watch resources as they change",
        response: streamOf(
          "events `sandbox`, `route-group` and `proxy`: {type: created | updated | deleted | expired, kind, name, resource}; `lagged`: {missed}",
        ),
      },
    },
    (_request, reply) => openFeed(context, "resources", reply),
  );
  app.get(
    "/v1/sandboxes/:name/exchanges",
    {
      exposeHeadRoute: false,
      schema: {
        summary: "Watch one sandbox's exchanges as proxies record them",
        params: NameParamsSchema,
        response: streamOf(
          "events `exchange`: a HopRecord (core/hop-record.ts); `lagged`: {missed}",
        ),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if ((await context.store.get("sandbox", name)) === null) {
        throw new ControlError("sandbox-unknown", `there is no sandbox named ${name}`);
      }
      openFeed(context, `exchanges of sandbox/${name}`, reply);
    },
  );
}

function openFeed(context: ControlContext, topic: string, reply: FastifyReply): void {
  if (context.feed.count >= context.limits.eventStreamsMax) {
    throw new ControlError(
      "too-many",
      `${context.limits.eventStreamsMax} streams are open already`,
    );
  }
  const sink = openStream(reply);
  // A comment, so that the reader knows at once that the stream stands.
  sink.write(Buffer.from(": open\n\n"));
  const opened = context.feed.open(topic, sink);
  if (opened.ok) onStreamEnd(reply, opened.value);
  else sink.drop();
}
