/**
 * Turns whatever went wrong with a request into a problem document (RFC 9457).
 *
 * Before: server.ts sets it as the one error handler. Bugs are logged, with their cause; what
 * clients do wrong is not.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { ControlError, type ControlErrorCode, problemOf } from "../error.ts";
import { PROBLEM_TYPE } from "./responses.ts";

/** Fastify's own failures, by its codes. */
const FASTIFY_CODES: Readonly<Record<string, ControlErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "body-too-large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "media-type-unsupported",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "body-malformed",
  FST_ERR_CTP_EMPTY_JSON_BODY: "body-malformed",
  FST_ERR_CTP_INVALID_JSON_BODY: "body-malformed",
  FST_ERR_BAD_URL: "query-invalid",
  FST_ERR_MAX_PARAM_LENGTH: "query-invalid",
};

/** Answers a failed request; returns its code, for the metrics. */
export function answerFailure(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): ControlErrorCode {
  const failure = toControlError(error);
  if (failure.code === "bug" || failure.code === "store-failed") {
    request.log.error({ err: failure.cause ?? failure }, failure.message);
  }
  const problem = problemOf(failure);
  void reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
  return failure.code;
}

function toControlError(error: unknown): ControlError {
  if (error instanceof ControlError) return error;
  const { code, statusCode, message } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : FASTIFY_CODES[code];
  if (known !== undefined) return new ControlError(known, message ?? known, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ControlError("query-invalid", message ?? "the request is wrong", { cause: error });
  }
  return new ControlError("bug", "an invariant of control is broken", { cause: error });
}

/** Answers a path that does not exist, or not with this method. */
export function notFound(
  methodsOf: (path: string) => readonly string[],
  request: FastifyRequest,
  reply: FastifyReply,
): never {
  const path = request.url.split("?")[0] ?? "";
  const methods = methodsOf(path);
  if (methods.length === 0)
    throw new ControlError("not-found", `there is no ${path.slice(0, 200)}`);
  void reply.header("allow", methods.join(", "));
  throw new ControlError("method-not-allowed", `${request.method} is not for ${path}`);
}
