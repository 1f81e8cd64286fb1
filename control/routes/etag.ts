import type { IncomingHttpHeaders } from "node:http";
import { ControlError } from "../error.ts";

/** Refuses a request whose preconditions do not hold (RFC 9110 section 13.1); `etag` null: it does not exist. */
export function checkPreconditions(headers: IncomingHttpHeaders, etag: string | null): void {
  const ifMatch = headers["if-match"];
  if (ifMatch !== undefined && !matches(ifMatch, etag)) {
    throw new ControlError("precondition-failed", `If-Match is ${ifMatch}, ${stateText(etag)}`);
  }
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag)) {
    throw new ControlError(
      "precondition-failed",
      `If-None-Match is ${ifNoneMatch}, ${stateText(etag)}`,
    );
  }
}

/** Tells whether a list of entity tags, or `*`, has this one; weak ones match nothing (section 8.8.3.2). */
export function matches(list: string, etag: string | null): boolean {
  if (etag === null) return false;
  if (list.trim() === "*") return true;
  return list.split(",").some((each) => each.trim() === `"${etag}"`);
}

function stateText(etag: string | null): string {
  return etag === null ? "and there is no such resource" : `and the resource has "${etag}"`;
}
