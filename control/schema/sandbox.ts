import { type Static, Type } from "typebox";
import { DURATION_PATTERN } from "../model/duration.ts";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { STATUS_PROPERTIES } from "./condition.ts";

const { forksMax, endpointsMax, labelsMax } = CONTROL_LIMITS;
const closed = { additionalProperties: false };

export const LabelsSchema = Type.Record(Type.String(), Type.String(), {
  maxProperties: labelsMax,
  description: "keys and values in Kubernetes' syntax",
});

export const TtlSchema = Type.Object(
  {
    idle: Type.Optional(
      Type.String({ pattern: DURATION_PATTERN, description: "since a request was last seen" }),
    ),
    sinceUpdate: Type.Optional(
      Type.String({ pattern: DURATION_PATTERN, description: "since it was last written" }),
    ),
    max: Type.Optional(
      Type.String({ pattern: DURATION_PATTERN, description: "since it was created" }),
    ),
  },
  {
    ...closed,
    description: "when it ends by itself, such as 2h or 3d; the first that is over counts",
  },
);

export const RoutingKeySchema = Type.String({
  maxLength: 40,
  description:
    "3 to 40 of a-z, 0-9 and -; made with 80 random bits where absent, kept by later writes",
});

const ForkSchema = Type.Object(
  {
    workload: Type.String({ maxLength: 127, description: "`namespace/name`, such as shop/cart" }),
    endpoints: Type.Array(Type.String({ maxLength: 60 }), {
      maxItems: endpointsMax,
      description: "`address:port` each, within the allowed networks; none: the fork is down",
    }),
  },
  closed,
);

export const SandboxBodySchema = Type.Object(
  {
    name: Type.Optional(Type.String({ description: "must be the name in the path" })),
    forks: Type.Array(ForkSchema, { minItems: 1, maxItems: forksMax }),
    routingKey: Type.Optional(RoutingKeySchema),
    labels: Type.Optional(LabelsSchema),
    onUnavailable: Type.Optional(
      Type.Enum(["fail", "baseline"], { default: "fail", description: "when a fork is down" }),
    ),
    ttl: Type.Optional(TtlSchema),
    status: Type.Optional(Type.Unknown({ description: "read-only; ignored" })),
  },
  { $id: "SandboxBody", ...closed },
);

/** A sandbox as a client writes it. */
export type SandboxBodyDocument = Static<typeof SandboxBodySchema>;

export const SandboxSchema = Type.Object(
  {
    name: Type.String(),
    forks: Type.Array(ForkSchema),
    routingKey: Type.String(),
    labels: LabelsSchema,
    onUnavailable: Type.Enum(["fail", "baseline"]),
    ttl: TtlSchema,
    status: Type.Object(STATUS_PROPERTIES, closed),
  },
  { $id: "Sandbox", ...closed },
);

/** A sandbox as the API answers it. */
export type SandboxDocument = Static<typeof SandboxSchema>;
