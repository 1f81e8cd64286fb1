import { type Static, Type } from "typebox";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { STATUS_PROPERTIES } from "./condition.ts";
import { LabelsSchema, RoutingKeySchema, TtlSchema } from "./sandbox.ts";

const closed = { additionalProperties: false };

const MEMBERS = {
  sandboxes: Type.Array(Type.String({ maxLength: 63 }), {
    maxItems: CONTROL_LIMITS.membersMax,
    description: "members by name; an earlier one wins where two fork the same workload",
  }),
  labelSelector: Type.Union(
    [Type.String({ minLength: 1, maxLength: CONTROL_LIMITS.selectorCharsMax }), Type.Null()],
    { description: "members by label, in the order of their names, after those by name" },
  ),
};

export const RouteGroupBodySchema = Type.Object(
  {
    name: Type.Optional(Type.String({ description: "must be the name in the path" })),
    sandboxes: Type.Optional(MEMBERS.sandboxes),
    labelSelector: Type.Optional(MEMBERS.labelSelector),
    routingKey: Type.Optional(RoutingKeySchema),
    labels: Type.Optional(LabelsSchema),
    ttl: Type.Optional(TtlSchema),
    status: Type.Optional(Type.Unknown({ description: "read-only; ignored" })),
  },
  { $id: "RouteGroupBody", ...closed },
);

/** A route group as a client writes it. */
export type RouteGroupBodyDocument = Static<typeof RouteGroupBodySchema>;

export const CollisionSchema = Type.Object(
  {
    workload: Type.String(),
    wins: Type.String({ description: "the sandbox whose fork serves" }),
    loses: Type.Array(Type.String(), { description: "sandboxes whose fork of it is passed over" }),
  },
  closed,
);

export const RouteGroupSchema = Type.Object(
  {
    name: Type.String(),
    ...MEMBERS,
    routingKey: Type.String(),
    labels: LabelsSchema,
    ttl: TtlSchema,
    status: Type.Object(
      {
        ...STATUS_PROPERTIES,
        members: Type.Array(Type.String(), { description: "in the order in which they win" }),
        missing: Type.Array(Type.String(), { description: "named members that do not exist" }),
        collisions: Type.Array(CollisionSchema),
      },
      closed,
    ),
  },
  { $id: "RouteGroup", ...closed },
);

/** A route group as the API answers it. */
export type RouteGroupDocument = Static<typeof RouteGroupSchema>;
