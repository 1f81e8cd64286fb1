import { type Static, type TSchema, Type } from "typebox";
import { CollisionSchema } from "./route-group.ts";

/** What `?dryRun=true` answers: what the write would change, without the write. */
export function dryRunSchema<T extends TSchema>(resource: T) {
  return Type.Object({
    dryRun: Type.Literal(true),
    action: Type.Enum(["create", "replace", "delete", "none"]),
    resource: Type.Union([resource, Type.Null()], {
      description: "as it would be; without status; null when it would be gone",
    }),
    changes: Type.Array(
      Type.Object({
        path: Type.String({ description: "JSON pointer" }),
        from: Type.Optional(Type.Unknown()),
        to: Type.Optional(Type.Unknown()),
      }),
    ),
    tables: Type.Object(
      {
        workloads: Type.Array(Type.String(), { description: "whose routing table would change" }),
        keysAdded: Type.Array(Type.String()),
        keysRemoved: Type.Array(Type.String()),
      },
      { description: "what the proxies would be told" },
    ),
    routeGroups: Type.Array(Type.String(), { description: "route groups that it is a member of" }),
    collisions: Type.Array(CollisionSchema),
  });
}

/** The answer of a dry run. */
export type DryRunDocument = Static<ReturnType<typeof dryRunSchema>>;
