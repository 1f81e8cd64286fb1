import { type Static, Type } from "typebox";

export const ConditionSchema = Type.Object({
  type: Type.Enum(["Applied", "Available"]),
  status: Type.Enum(["True", "False", "Unknown"]),
  reason: Type.String({ description: "one word for programs, such as `NoProxy`" }),
  message: Type.String({ description: "names the workloads and proxies concerned" }),
});

/** One of the two conditions of readiness. */
export type ConditionDocument = Static<typeof ConditionSchema>;

/** What is read-only in every resource. */
export const STATUS_PROPERTIES = {
  ready: Type.Boolean({ description: "every condition is True" }),
  conditions: Type.Array(ConditionSchema),
  unconfirmed: Type.Array(Type.String(), {
    description: "proxies that may not know the present state: silent, or slow to apply it",
  }),
  revision: Type.String({ description: "the revision that the proxies have to reach" }),
  etag: Type.String({ description: "for If-Match; covers the spec, not the status" }),
  createdAt: Type.String({ format: "date-time" }),
  updatedAt: Type.String({ format: "date-time" }),
  lastSeenAt: Type.Union([Type.String({ format: "date-time" }), Type.Null()], {
    description: "when a proxy last saw a request with the key",
  }),
  expiresAt: Type.Union([Type.String({ format: "date-time" }), Type.Null()], {
    description: "when it ends by itself, as things stand",
  }),
};
