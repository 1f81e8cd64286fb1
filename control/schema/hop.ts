import { type Static, Type } from "typebox";
import { namedValues } from "./named-values.ts";

const id16 = Type.String({ pattern: "^[0-9a-f]{16}$" });
const count = Type.Number({ minimum: 0 });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const outcome = Type.Enum(["fork", "baseline", "refused"]);
const mode = Type.Enum(["inbound", "outbound", "edge"]);
const healed = Type.Enum(["sandbox", "affinity"]);
const protocol = Type.Enum(["http/1.1", "h2"]);

/** `core/hop-record.ts`, one line of a batch. Unknown properties pass, and are not kept. */
export const HopRecordSchema = Type.Object({
  v: Type.Literal(1),
  root: id16,
  hop: id16,
  parent: orNull(id16),
  timeMs: Type.Number(),
  caller: orNull(Type.String({ maxLength: 140 })),
  workload: Type.String({ maxLength: 127 }),
  proxy: Type.String({ maxLength: 128 }),
  mode,
  sandbox: orNull(Type.String({ maxLength: 63 })),
  healed: Type.Optional(orNull(healed)),
  tag: Type.String({ maxLength: 200 }),
  key: Type.String({ maxLength: 200 }),
  outcome,
  reason: Type.String({ maxLength: 40 }),
  revision: Type.String({ maxLength: 160 }),
  endpoint: orNull(Type.String({ maxLength: 300 })),
  traceId: orNull(Type.String({ pattern: "^[0-9a-f]{32}$" })),
  protocol,
  status: Type.Integer({ minimum: 0, maximum: 999 }),
  requestBytes: count,
  responseBytes: count,
  ttfbMs: orNull(count),
  totalMs: count,
  attempt: Type.Integer({ minimum: 1, maximum: 100 }),
  closedBy: orNull(Type.Enum(["downstream", "upstream", "proxy"])),
  fault: orNull(Type.String({ maxLength: 64 })),
});

/** `core/hop-record.ts`, the first line of a batch. */
export const HopBatchSchema = Type.Object({
  batch: Type.Object({
    proxy: Type.String({ minLength: 1, maxLength: 128 }),
    flush: orNull(Type.String({ maxLength: 64 })),
    dropped: namedValues(200, Type.Integer({ minimum: 0 }), {
      maxProperties: 10_000,
    }),
    observationsDropped: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
});

export const HopSchema = Type.Object(
  {
    hop: Type.String(),
    parent: orNull(Type.String()),
    depth: Type.Integer({ description: "0 at the entry" }),
    workload: Type.String(),
    key: Type.String(),
    tag: Type.String(),
    healed: orNull(healed),
    outcome,
    reason: Type.String(),
    sandbox: orNull(
      Type.String({ description: "whose fork served, or would have; null at the baseline" }),
    ),
    endpoint: orNull(Type.String()),
    confirmed: Type.Boolean({
      description: "the fork's own proxy recorded the same hop and let it through",
    }),
    status: Type.Integer(),
    fault: orNull(Type.String()),
    caller: orNull(Type.String()),
    proxy: Type.String({ description: "instance that decided" }),
    forkProxy: orNull(Type.String({ description: "instance next to the fork" })),
    mode,
    revision: Type.String(),
    traceId: orNull(Type.String()),
    protocol,
    at: Type.String({ format: "date-time" }),
    requestBytes: Type.Number(),
    responseBytes: Type.Number(),
    ttfbMs: orNull(Type.Number()),
    totalMs: Type.Number(),
    attempt: Type.Integer(),
    closedBy: orNull(Type.String()),
  },
  { $id: "Hop" },
);

/** One hop of a trace: what the proxies that saw it said, merged. */
export type HopDocument = Static<typeof HopSchema>;

export const TraceSchema = Type.Object(
  {
    root: Type.String(),
    traceIds: Type.Array(Type.String()),
    keys: Type.Array(Type.String()),
    complete: Type.Boolean({
      description: "every proxy was asked and answered, nothing was dropped, nothing is missing",
    }),
    incomplete: Type.Array(
      Type.Object({
        code: Type.Enum([
          "proxy-silent",
          "proxy-lost",
          "records-dropped",
          "bound-reached",
          "control-restarted",
          "parent-missing",
          "hop-ambiguous",
          "no-record",
        ]),
        detail: Type.String(),
      }),
      { description: "why it is not complete" },
    ),
    hops: Type.Array(HopSchema, { description: "depth first, in the order of time" }),
    orphans: Type.Array(Type.Object({ root: Type.String(), hops: Type.Array(HopSchema) }), {
      description: "requests with the same trace id that lost the mark of their parent",
    }),
  },
  { $id: "Trace" },
);

/** Which hops one request took. */
export type TraceDocument = Static<typeof TraceSchema>;
