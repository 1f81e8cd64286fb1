import { type Static, Type } from "typebox";

/** Body of every answer that is a failure: `application/problem+json` (RFC 9457). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "`urn:forklane:problem:<code>`" }),
    title: Type.String({ description: "what the code means" }),
    status: Type.Integer(),
    detail: Type.String({ description: "what is wrong, naming the thing" }),
    code: Type.String({ description: "for programs to decide by; the table is control/error.ts" }),
    fix: Type.String({ description: "what to do about it" }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description: "each thing that is wrong with the body or query; `path` is a JSON pointer",
      }),
    ),
  },
  { $id: "Problem", additionalProperties: true },
);

/** A failure as the API answers it. */
export type ProblemDocument = Static<typeof ProblemSchema>;
