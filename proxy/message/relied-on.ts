/**
 * Fields that those behind us, or in front of us, rely on: what frames the content or says what it is, whom
 * a request is for and who sends it, what it depends on, and what ties hops together.
 *
 * Before: exchange/forwarded-head.ts, http1/decode-body.ts. After: nothing.
 * Invariant: nobody takes one of them away by naming it in `Connection` (RFC 9110 section 7.6.1), or adds
 * one behind the body, where whoever merges trailers would be told otherwise than we were (section 6.5.1).
 * Cold: looked at where Connection names fields, or where there are trailers.
 */

/** Whether Connection must not name the field; `name` in lower case. */
export function isProtected(name: string): boolean {
  return isReliedOn(name) || ONLY_IN_HEADS.has(name) || startsWithOne(name, ONLY_IN_HEADS_PREFIXES);
}

/** Whether the field must not stand behind a body; `name` in lower case. */
export function isForbiddenTrailer(name: string): boolean {
  if (DIGESTS.has(name)) return false;
  return isReliedOn(name) || CONTROLS.has(name);
}

function isReliedOn(name: string): boolean {
  return RELIED_ON.has(name) || startsWithOne(name, RELIED_ON_PREFIXES);
}

function startsWithOne(name: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => name.startsWith(prefix));
}

const RELIED_ON: ReadonlySet<string> = new Set([
  "authorization",
  "b3",
  "baggage",
  "cache-control",
  "cookie",
  "correlation-context",
  "expect",
  "forwarded",
  "host",
  "kubernetes-route-as",
  "max-forwards",
  "origin",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "sentry-trace",
  "set-cookie",
  "traceparent",
  "tracestate",
  "transfer-encoding",
  "true-client-ip",
  "uber-trace-id",
  "via",
  "www-authenticate",
  "x-amzn-trace-id",
  "x-api-key",
  "x-auth-token",
  "x-client-ip",
  "x-cloud-trace-context",
  "x-http-method-override",
  "x-original-url",
  "x-real-ip",
  "x-rewrite-url",
]);

const RELIED_ON_PREFIXES: readonly string[] = [
  "content-",
  "forklane-",
  "if-",
  "ot-baggage-",
  "uberctx-",
  "x-b3-",
  "x-datadog-",
  "x-forwarded-",
];

/** Digests are made while the content is sent, and stand behind it by design (RFC 9530 section 2). */
const DIGESTS: ReadonlySet<string> = new Set(["content-digest", "content-md5"]);

/** Relied on where they stand in a head; behind a body they are metadata like any other. */
const ONLY_IN_HEADS: ReadonlySet<string> = new Set(["x-request-id"]);
const ONLY_IN_HEADS_PREFIXES: readonly string[] = ["grpc-", "sec-websocket-"];

/** What says how a response is to be handled comes too late behind its body (RFC 9110 section 6.5.1). */
const CONTROLS: ReadonlySet<string> = new Set([
  "age",
  "expires",
  "location",
  "pragma",
  "retry-after",
  "trailer",
  "vary",
]);
