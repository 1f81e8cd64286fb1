import { Type } from "typebox";
import { PROTOCOL_HEADER, WATCH_PROTOCOL } from "../../core/watch-events.ts";
import { isDnsLabel, isWorkloadName } from "../../core/workload.ts";
import { ControlError } from "../error.ts";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { ProxyInstanceSchema } from "../schema/proxy.ts";
import type { WatchRefusal, WatchSink } from "../watch/watchers.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { streamOf } from "./responses.ts";
import { onStreamEnd, openStream } from "./stream.ts";

const WatchQuerySchema = Type.Object(
  {
    workload: Type.Optional(
      Type.Union(
        [
          Type.String(),
          Type.Array(Type.String(), { maxItems: CONTROL_LIMITS.watchedWorkloadsMax }),
        ],
        { description: "`namespace/name`; repeatable" },
      ),
    ),
    namespace: Type.Optional(Type.String({ description: "all workloads of a namespace" })),
    instance: Type.Optional(ProxyInstanceSchema),
  },
  { additionalProperties: false },
);

/**
 * `GET /v1/watch`: routing tables for proxies, as server-sent events (core/watch-events.ts).
 *
 * Before: server.ts. After: watch/watchers.ts.
 */
export function addWatchRoute(app: ControlApp, context: ControlContext): void {
  app.get(
    "/v1/watch",
    {
      exposeHeadRoute: false,
      schema: {
        summary: "Watch routing tables: snapshot, routes, keys, runs, flush, heartbeat",
        querystring: WatchQuerySchema,
        response: streamOf("events of core/watch-events.ts; the id is the revision"),
      },
    },
    (request, reply) => {
      checkProtocol(request.headers[PROTOCOL_HEADER]);
      const { workload, namespace, instance } = request.query;
      const lastRevision = request.headers["last-event-id"];
      const interest = readInterest(workload, namespace);
      let open: (() => WatchSink) | null = () =>
        openStream(reply, { [PROTOCOL_HEADER]: String(WATCH_PROTOCOL) });
      // The stream begins with its first event, so that a refusal is still an ordinary answer.
      let sink: WatchSink | null = null;
      const stream = (): WatchSink => {
        sink ??= open?.() ?? null;
        open = null;
        if (sink === null) throw new ControlError("bug", "the stream was opened twice");
        return sink;
      };
      const opened = context.watchers.open(
        { ...interest, lastRevision: typeof lastRevision === "string" ? lastRevision : null },
        {
          write: (bytes) => stream().write(bytes),
          queuedBytes: () => sink?.queuedBytes() ?? 0,
          drop: () => sink?.drop(),
        },
      );
      if (!opened.ok) throw refusal(opened.error, context);
      const unwatched = instance === undefined ? null : context.proxies.watching(instance);
      onStreamEnd(reply, () => {
        opened.value();
        unwatched?.();
      });
    },
  );
}

function checkProtocol(header: string | string[] | undefined): void {
  if (header === undefined || header === String(WATCH_PROTOCOL)) return;
  throw new ControlError(
    "protocol-unsupported",
    `${PROTOCOL_HEADER} is ${String(header)}; this control serves ${WATCH_PROTOCOL}`,
  );
}

function readInterest(
  workload: string | string[] | undefined,
  namespace: string | undefined,
): { workloads: string[]; namespace: string | null } {
  const workloads = [...new Set([workload ?? []].flat())];
  if ((workloads.length === 0) === (namespace === undefined)) {
    throw new ControlError("query-invalid", "name either workload (repeatable) or namespace");
  }
  if (namespace !== undefined && !isDnsLabel(namespace)) {
    throw new ControlError(
      "query-invalid",
      `namespace: "${namespace.slice(0, 80)}" is no DNS label`,
    );
  }
  for (const name of workloads) {
    if (isWorkloadName(name)) continue;
    throw new ControlError(
      "query-invalid",
      `workload: "${name.slice(0, 140)}" is no namespace/name such as shop/cart`,
    );
  }
  return { workloads, namespace: namespace ?? null };
}

function refusal(reason: WatchRefusal, context: ControlContext): ControlError {
  if (reason === "too-many") {
    return new ControlError("too-many", `${context.limits.watchersMax} proxies watch already`);
  }
  return new ControlError(
    "revision-ahead",
    `Last-Event-ID is newer than ${context.live.revision}, the newest of this store`,
  );
}
