import { Type } from "typebox";
import { CONTROL_LIMITS } from "../model/limits.ts";

const closed = { additionalProperties: false };

export const NameParamsSchema = Type.Object({
  name: Type.String({ maxLength: 63, description: "a DNS label" }),
});

export const WriteQuerySchema = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Boolean({ description: "answers what would change, and changes nothing" }),
    ),
  },
  closed,
);

export const GetQuerySchema = Type.Object(
  {
    wait: Type.Optional(
      Type.Literal("ready", { description: "answers when it is ready, or when the time is over" }),
    ),
    timeout: Type.Optional(
      Type.String({
        description: `longest wait, such as 10s; at most ${CONTROL_LIMITS.waitMsMax / 1000}s`,
      }),
    ),
  },
  closed,
);

const PAGE = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: CONTROL_LIMITS.pageItemsMax,
      default: CONTROL_LIMITS.pageItems,
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: "`next` of the page before" })),
};

export const PageQuerySchema = Type.Object(PAGE, closed);

export const ListQuerySchema = Type.Object(
  {
    labelSelector: Type.Optional(
      Type.String({ description: "Kubernetes' syntax: team=cart,pr in (118,119),!draft" }),
    ),
    ...PAGE,
  },
  closed,
);
