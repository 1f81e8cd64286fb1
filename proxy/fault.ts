/**
 * THE FAULT TABLE: every way an exchange can fail, and what follows.
 *
 * A fault is caused by a peer or the network; a bug is ours (core/invariant.ts). The codes are the
 * same strings in the `forklane-fault` header, the access log, metrics, hop records and the README.
 */

/** Who caused it: who connected to us, whom we connected to, or our own decision. */
export type FaultSource = "downstream" | "upstream" | "proxy";

/** One row of the table. */
export interface FaultRow {
  readonly source: FaultSource;
  /** Status to answer with, as long as no response was begun; 0: nobody is left to answer. */
  readonly status: number;
  /** Whether the same request may be sent once more: never, or if its connection was a reused one. */
  readonly retry: "never" | "if-reused";
  readonly meaning: string;
}

export const FAULTS = {
  "head-malformed": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning: "the request head breaks RFC 9112; it is refused, never repaired",
  },
  "host-invalid": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning: "Host is missing, doubled, not a host, or differs from the target (RFC 9112 3.2)",
  },
  "framing-ambiguous": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning: "the end of the body can be read in two ways (RFC 9112 6.3)",
  },
  "transfer-coding-unsupported": {
    source: "downstream",
    status: 501,
    retry: "never",
    meaning: "a transfer coding other than chunked (RFC 9112 6.1)",
  },
  "version-unsupported": {
    source: "downstream",
    status: 505,
    retry: "never",
    meaning: "an HTTP version other than 1.0 and 1.1 on an HTTP/1 connection",
  },
  "method-unsupported": {
    source: "downstream",
    status: 501,
    retry: "never",
    meaning: "CONNECT: the proxy is no forward proxy",
  },
  "target-too-long": {
    source: "downstream",
    status: 414,
    retry: "never",
    meaning: "the request line is longer than the limit",
  },
  "head-too-large": {
    source: "downstream",
    status: 431,
    retry: "never",
    meaning: "the request head has too many bytes or too many fields",
  },
  "field-protected": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning:
      "Connection names a field that routing or the upstream relies on, or ten fields, or TE is too long",
  },
  "field-underscored": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning: "a field name with an underscore, and --underscore-fields says reject",
  },
  "forwards-used-up": {
    source: "downstream",
    status: 501,
    retry: "never",
    meaning: "OPTIONS or TRACE with Max-Forwards 0 ends at this proxy, which answers neither",
  },
  "body-malformed": {
    source: "downstream",
    status: 400,
    retry: "never",
    meaning: "the chunked request body breaks RFC 9112 section 7.1",
  },
  "trailers-too-large": {
    source: "downstream",
    status: 431,
    retry: "never",
    meaning: "the request trailers have too many bytes or too many fields",
  },
  "head-timeout": {
    source: "downstream",
    status: 408,
    retry: "never",
    meaning: "the request head was begun and not finished in time",
  },
  "body-timeout": {
    source: "downstream",
    status: 408,
    retry: "never",
    meaning: "the request body, or the reader of the response, made no progress in time",
  },
  "downstream-closed": {
    source: "downstream",
    status: 0,
    retry: "never",
    meaning: "the caller closed its connection before the exchange was complete",
  },
  "connection-limit": {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning: "more downstream connections than the limit; new ones are refused",
  },
  overloaded: {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning: "the memory of the proxy is nearly used up; what is in progress goes first",
  },
  "not-intercepted": {
    source: "downstream",
    status: 421,
    retry: "never",
    meaning:
      "with --intercept: the caller dialled the proxy itself, or an address not to be served",
  },
  "destination-unknown": {
    source: "downstream",
    status: 421,
    retry: "never",
    meaning: "a call of the service, and neither its Host nor the table says where it is to go",
  },
  draining: {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning: "the proxy is stopping: its time to finish is over, or it had not begun to serve",
  },
  "connect-refused": {
    source: "upstream",
    status: 503,
    retry: "never",
    meaning: "nothing listens at the upstream address, or it cannot be reached",
  },
  "connect-timeout": {
    source: "upstream",
    status: 503,
    retry: "never",
    meaning: "the upstream did not accept a connection in time",
  },
  "pool-full": {
    source: "upstream",
    status: 503,
    retry: "never",
    meaning: "as many upstream connections and waiting requests as the limit allows",
  },
  "upstream-closed": {
    source: "upstream",
    status: 502,
    retry: "if-reused",
    meaning: "the upstream closed or reset the connection before the response was complete",
  },
  "upstream-malformed": {
    source: "upstream",
    status: 502,
    retry: "never",
    meaning: "the response breaks RFC 9112; it is refused, never repaired",
  },
  "upstream-head-too-large": {
    source: "upstream",
    status: 502,
    retry: "never",
    meaning: "the response head, its trailers, or the number of interim responses pass the limit",
  },
  "upstream-timeout": {
    source: "upstream",
    status: 504,
    retry: "never",
    meaning: "the upstream made no progress in time",
  },
  "exchange-timeout": {
    source: "proxy",
    status: 504,
    retry: "never",
    meaning: "the whole of request and response took longer than the limit",
  },
  "fork-down": {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning: "the sandbox has a fork here, it cannot be reached, and its policy is to fail",
  },
  "unknown-key": {
    source: "proxy",
    status: 424,
    retry: "never",
    meaning: "a strict tag with a key that no sandbox has",
  },
  expired: {
    source: "proxy",
    status: 424,
    retry: "never",
    meaning: "a strict tag with the key of a sandbox whose time is over",
  },
  "tag-unreadable": {
    source: "proxy",
    status: 400,
    retry: "never",
    meaning: "a strict tag that is not a valid tag, or lies past the limits of baggage",
  },
  "tag-ambiguous": {
    source: "proxy",
    status: 400,
    retry: "never",
    meaning: "a strict tag, and another one that differs",
  },
  "table-unknown": {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning: "a strict tag, and this proxy has no routing table yet",
  },
  "table-stale": {
    source: "proxy",
    status: 503,
    retry: "never",
    meaning:
      "a strict tag with an unknown key, and this proxy lost control for longer than its lease",
  },
  "wrong-fork": {
    source: "proxy",
    status: 421,
    retry: "never",
    meaning: "this proxy stands next to a fork, and the request is not its sandbox's",
  },
  loop: {
    source: "proxy",
    status: 508,
    retry: "never",
    meaning: "the request came back to the proxy that forwarded it",
  },
} as const satisfies Record<string, FaultRow>;

/** A code of the fault table. */
export type FaultCode = keyof typeof FAULTS;
