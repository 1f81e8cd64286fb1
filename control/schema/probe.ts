import { type Static, Type } from "typebox";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { HeadersSchema } from "./explain.ts";
import { HopSchema, TraceSchema } from "./hop.ts";
import { namedValues } from "./named-values.ts";

const closed = { additionalProperties: false };

export const ProbeBodySchema = Type.Object(
  {
    entry: Type.String({
      maxLength: 128,
      description: "a registered workload, the instance of a proxy, or `edge`: any edge",
    }),
    key: Type.String({ maxLength: 163, description: "a routing key; it is always sent strict" }),
    request: Type.Optional(
      Type.Object(
        {
          method: Type.Optional(Type.String({ pattern: "^[A-Z]{1,20}$", default: "GET" })),
          path: Type.Optional(
            Type.String({ pattern: "^/[!-~]*$", maxLength: 8_192, default: "/" }),
          ),
          headers: Type.Optional(HeadersSchema),
          body: Type.Optional(Type.String({ maxLength: CONTROL_LIMITS.probeBodyBytesMax })),
        },
        closed,
      ),
    ),
    expect: Type.Optional(
      namedValues(127, Type.Enum(["fork", "baseline", "refused", "absent"]), {
        maxProperties: CONTROL_LIMITS.expectationsMax,
        description: "workload to what every hop at it must be; `absent`: there must be none",
      }),
    ),
    timeout: Type.Optional(Type.String({ description: "for the request itself, such as 10s" })),
  },
  { $id: "ProbeBody", ...closed },
);

/** A request for control to send, and what it must meet on its way. */
export type ProbeBodyDocument = Static<typeof ProbeBodySchema>;

export const ProbeSchema = Type.Object(
  {
    matched: Type.Boolean({
      description: "every expectation holds, and nothing that could say otherwise is missing",
    }),
    complete: Type.Boolean({ description: "as in `trace`" }),
    mismatches: Type.Array(
      Type.Object({
        workload: Type.Union([Type.String(), Type.Null()]),
        expected: Type.String(),
        actual: Type.String(),
        why: Type.String(),
      }),
    ),
    hops: Type.Array(HopSchema),
    status: Type.Integer({ description: "of the answer that the entry gave" }),
    fault: Type.Union([Type.String(), Type.Null()], {
      description: "`forklane-fault`, where a proxy answered by itself",
    }),
    trace: TraceSchema,
  },
  { $id: "Probe" },
);

/** What a probe met. */
export type ProbeDocument = Static<typeof ProbeSchema>;
