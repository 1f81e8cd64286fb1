import type { FastifyRequest } from "fastify";
import { ControlError } from "../error.ts";

/** Names of this machine that nobody else's DNS can point at it. */
const OWN_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?$/i;

/** Media type that only PATCH takes. */
const MERGE_PATCH = "application/merge-patch+json";

/**
 * Refuses what a page of another origin could make a browser send: without tokens, loopback is
 * guarded by Host (DNS rebinding), Origin, and media types that need a preflight.
 */
export function guard(request: FastifyRequest): void {
  const { host, origin } = request.headers;
  if (host === undefined || !OWN_HOST.test(host)) {
    throw new ControlError("host-refused", `Host is ${JSON.stringify(host ?? "")}`);
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    throw new ControlError("origin-refused", `Origin is ${JSON.stringify(origin)}`);
  }
  const mediaType = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (mediaType === MERGE_PATCH && request.method !== "PATCH") {
    throw new ControlError("media-type-unsupported", `${MERGE_PATCH} is for PATCH only`);
  }
}
