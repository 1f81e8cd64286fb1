import { type Static, Type } from "typebox";
import { CONTROL_LIMITS } from "../model/limits.ts";
import { namedValues } from "./named-values.ts";

const closed = { additionalProperties: false };

/** Header fields of a request: name to value, or values where it stands several times. */
export const HeadersSchema = namedValues(
  256,
  Type.Union([
    Type.String({ maxLength: CONTROL_LIMITS.headerCharsMax }),
    Type.Array(Type.String({ maxLength: CONTROL_LIMITS.headerCharsMax }), { maxItems: 64 }),
  ]),
  { maxProperties: CONTROL_LIMITS.probeHeadersMax },
);

/** Header fields of a request. */
export type HeadersDocument = Static<typeof HeadersSchema>;

export const ExplainBodySchema = Type.Object(
  {
    workload: Type.String({ maxLength: 127, description: "the workload that is called" }),
    headers: HeadersSchema,
  },
  { $id: "ExplainBody", ...closed },
);

/** A question: where would this request go? */
export type ExplainBodyDocument = Static<typeof ExplainBodySchema>;

export const ExplanationSchema = Type.Object(
  {
    workload: Type.String(),
    outcome: Type.Enum(["fork", "baseline", "refused"]),
    reason: Type.String(),
    status: Type.Integer({ description: "what it would be refused with; 0 if it would not" }),
    tag: Type.String({ description: "as it was read, strict mark included; empty: untagged" }),
    strict: Type.Boolean(),
    key: Type.Union([Type.String(), Type.Null()]),
    sandbox: Type.Union([Type.String(), Type.Null()]),
    endpoints: Type.Array(Type.String()),
    onUnavailable: Type.Union([Type.Enum(["fail", "baseline"]), Type.Null()]),
    collision: Type.Union([Type.String(), Type.Null()]),
    revision: Type.String(),
  },
  { $id: "Explanation" },
);

/** Where a request would go, and why. */
export type ExplanationDocument = Static<typeof ExplanationSchema>;
