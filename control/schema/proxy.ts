import { type Static, Type } from "typebox";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { namedValues } from "./named-values.ts";
import { pageSchema } from "./page.ts";

const L = CONTROL_LIMITS;
const revision = Type.String({ maxLength: 160 });
const mode = Type.Enum(["inbound", "outbound", "edge"]);

export const ProxyInstanceSchema = Type.String({
  pattern: "^[A-Za-z0-9._:-]{1,128}$",
  description: "name of the proxy, unique while it runs",
});

const EndpointCheckSchema = Type.Object({
  accepted: Type.Boolean(),
  fault: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
  timeMs: Type.Number(),
});

/** `core/proxy-status.ts` as a schema. Unknown properties pass, and are not kept. */
export const ProxyStatusSchema = Type.Object(
  {
    workloads: Type.Array(Type.String({ maxLength: 127 }), { maxItems: L.statusWorkloadsMax }),
    callees: Type.Optional(
      Type.Array(Type.String({ maxLength: 127 }), { maxItems: L.statusWorkloadsMax }),
    ),
    mode,
    sandbox: Type.Union([Type.String({ maxLength: 63 }), Type.Null()]),
    listen: Type.String({ maxLength: 300 }),
    admin: Type.Union([Type.String({ maxLength: 300 }), Type.Null()]),
    version: Type.String({ maxLength: 100 }),
    leaseMs: Type.Number({ minimum: L.leaseMsMin, maximum: L.leaseMsMax }),
    applied: Type.Array(Type.Union([revision, Type.Null()]), { maxItems: L.statusWorkersMax }),
    rejected: Type.Union([
      Type.Object({
        revision: Type.Union([revision, Type.Null()]),
        why: Type.String({ maxLength: 1_000 }),
      }),
      Type.Null(),
    ]),
    endpoints: namedValues(300, EndpointCheckSchema, {
      maxProperties: L.statusEndpointsMax,
    }),
    lastSeen: namedValues(50, Type.Number(), {
      maxProperties: L.statusKeysMax,
    }),
    counters: namedValues(200, Type.Number(), {
      maxProperties: L.statusCountersMax,
    }),
    leaving: Type.Boolean(),
  },
  { $id: "ProxyStatus", additionalProperties: true },
);

export const ProxySchema = Type.Object(
  {
    instance: Type.String(),
    workloads: Type.Array(Type.String()),
    callees: Type.Array(Type.String(), {
      description: "workloads to which it routes calls of the service next to it",
    }),
    mode,
    sandbox: Type.Union([Type.String(), Type.Null()]),
    listen: Type.String(),
    admin: Type.Union([Type.String(), Type.Null()]),
    version: Type.String(),
    present: Type.Boolean({ description: "its lease runs; a silent one counts 5 s longer" }),
    connected: Type.Boolean({ description: "it watches" }),
    lastStatusAt: Type.String({ format: "date-time" }),
    applied: Type.Array(Type.Union([Type.String(), Type.Null()]), {
      description: "revision that each worker has applied",
    }),
    behind: Type.Union([Type.Integer(), Type.Null()], {
      description:
        "revisions between the newest and what it applied, not all of which concern it; null: it has none of ours",
    }),
    rejected: Type.Union([
      Type.Object({ revision: Type.Union([Type.String(), Type.Null()]), why: Type.String() }),
      Type.Null(),
    ]),
    endpoints: Type.Record(Type.String(), EndpointCheckSchema),
    counters: Type.Record(Type.String(), Type.Number()),
  },
  { $id: "Proxy" },
);

/** A proxy as the API answers it. */
export type ProxyDocument = Static<typeof ProxySchema>;

export const ProxyListSchema = pageSchema(ProxySchema);

export const WorkloadSchema = Type.Object(
  {
    name: Type.String(),
    proxies: Type.Array(Type.String(), { description: "instances that are present" }),
    listen: Type.Array(Type.String(), { description: "where its baseline proxies take traffic" }),
    forks: Type.Array(
      Type.Object({
        key: Type.String(),
        sandbox: Type.String(),
        endpoints: Type.Array(Type.String()),
      }),
      { description: "the first 100" },
    ),
    forkCount: Type.Integer(),
    revision: Type.String({ description: "the last that changed its table" }),
  },
  { $id: "Workload" },
);

/** A workload as the API answers it. */
export type WorkloadDocument = Static<typeof WorkloadSchema>;
