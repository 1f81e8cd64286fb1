import { type TSchema, Type } from "typebox";
import { ProblemSchema } from "../schema/problem.ts";

/** Media type of every failure (RFC 9457). */
export const PROBLEM_TYPE = "application/problem+json";

const PROBLEM = {
  description: "a failure; `code` says which",
  content: { [PROBLEM_TYPE]: { schema: ProblemSchema } },
};

/** The responses of a route for OpenAPI: its success, and failures as problem documents. */
export function answers(success: TSchema, status = 200): Record<string, unknown> {
  return { [status]: success, "4xx": PROBLEM, "5xx": PROBLEM };
}

/** A success without a body. */
export const NO_CONTENT = answers(Type.Null({ description: "done" }), 204);

/** A success that is a stream of server-sent events. */
export function streamOf(description: string): Record<string, unknown> {
  const stream = { description, content: { "text/event-stream": { schema: Type.String() } } };
  return { 200: stream, "4xx": PROBLEM, "5xx": PROBLEM };
}
