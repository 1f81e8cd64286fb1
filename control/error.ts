import type { ProblemDocument } from "./schema/problem.ts";

/** One row of the table. */
interface ErrorRow {
  readonly status: number;
  readonly title: string;
  /** What the caller can do about it. */
  readonly fix: string;
}

/**
 * THE ERROR TABLE of the API: every code that an answer can carry.
 *
 * Programs decide by the code; titles and details are for people and may change.
 */
export const CONTROL_ERRORS = {
  "body-malformed": {
    status: 400,
    title: "the body cannot be read",
    fix: "send one JSON document in UTF-8",
  },
  "body-invalid": {
    status: 400,
    title: "the body does not say what it must",
    fix: "correct what `errors` names; /openapi.json has the schema",
  },
  "endpoint-not-allowed": {
    status: 400,
    title: "a fork's endpoint may not be used",
    fix: "use an IP address and port within --allowed-networks",
  },
  "query-invalid": {
    status: 400,
    title: "the path, query or a header field is wrong",
    fix: "correct what `errors` or `detail` names",
  },
  "record-invalid": {
    status: 400,
    title: "a line of the batch is no hop record",
    fix: "send HopBatch first, then one HopRecord or Observation a line (core/hop-record.ts)",
  },
  "probe-header-refused": {
    status: 400,
    title: "a probe may not set this header",
    fix: "leave it out: control sets the tag, and the connection is its own",
  },
  "protocol-unsupported": {
    status: 400,
    title: "this version of the watch is not served",
    fix: "update the proxy or control: each serves its own version and the one before",
  },
  "origin-refused": {
    status: 403,
    title: "a page of another origin may not use this API",
    fix: "call it from outside a browser, or from control's own pages",
  },
  "not-found": {
    status: 404,
    title: "there is no such path",
    fix: "see /openapi.json for the paths",
  },
  "sandbox-unknown": {
    status: 404,
    title: "there is no such sandbox",
    fix: "create it with PUT, or look at GET /v1/sandboxes",
  },
  "route-group-unknown": {
    status: 404,
    title: "there is no such route group",
    fix: "create it with PUT, or look at GET /v1/route-groups",
  },
  "entry-unknown": {
    status: 404,
    title: "no proxy is registered for this entry",
    fix: "start a proxy for it, or name one that GET /v1/proxies lists as present",
  },
  "trace-unknown": {
    status: 404,
    title: "no hop of such a request is recorded",
    fix: "send the request tagged, and ask soon: records are kept in memory, within bounds",
  },
  "run-unknown": {
    status: 404,
    title: "there is no such run",
    fix: "announce one with POST /v1/runs: only the latest are remembered",
  },
  "method-not-allowed": {
    status: 405,
    title: "the path does not have this method",
    fix: "use one that the header Allow names",
  },
  "key-taken": {
    status: 409,
    title: "another sandbox or route group has this routing key",
    fix: "choose another key, or leave it out to get one",
  },
  "changed-meanwhile": {
    status: 409,
    title: "others kept changing the resource",
    fix: "read it again and repeat",
  },
  "limit-reached": {
    status: 409,
    title: "there are as many as are allowed",
    fix: "delete some that are not needed, or give them a ttl",
  },
  "revision-ahead": {
    status: 409,
    title: "the proxy knows a newer state than this store",
    fix: "after restoring a backup, start control once with --new-epoch",
  },
  "precondition-failed": {
    status: 412,
    title: "the resource is not in the state that the request asks for",
    fix: "read it again and repeat with its new ETag",
  },
  "body-too-large": {
    status: 413,
    title: "the body is larger than 1 MiB",
    fix: "send less, or in several requests",
  },
  "media-type-unsupported": {
    status: 415,
    title: "the body's media type is not taken here",
    fix: "send application/json; PATCH takes application/merge-patch+json too, /v1/hops application/x-ndjson",
  },
  "host-refused": {
    status: 421,
    title: "the Host is not one of this machine's own names",
    fix: "call control as 127.0.0.1, localhost or [::1]",
  },
  "too-many": {
    status: 429,
    title: "too many of these requests are under way",
    fix: "repeat later",
  },
  bug: {
    status: 500,
    title: "control failed where it must not",
    fix: "report it with control's log of that moment",
  },
  "entry-unreachable": {
    status: 502,
    title: "the entry's proxy did not answer the probe",
    fix: "see that it runs and that its listen address can be reached from control",
  },
  "store-failed": {
    status: 503,
    title: "the store could not write",
    fix: "see control's log: a full or failing disk; nothing was changed",
  },
  stopping: {
    status: 503,
    title: "control is stopping",
    fix: "repeat when it runs again",
  },
} as const satisfies Record<string, ErrorRow>;

/** A code of the error table. */
export type ControlErrorCode = keyof typeof CONTROL_ERRORS;

/** What a failure says beside its code. */
export interface ControlErrorOptions {
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly cause?: unknown;
}

/** A failure that the caller is told; `detail` names the thing and what is wrong with it. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: ControlErrorCode;
  readonly errors: readonly { readonly path: string; readonly message: string }[];

  constructor(code: ControlErrorCode, detail: string, options: ControlErrorOptions = {}) {
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.errors = options.errors ?? [];
  }
}

/** Writes a failure as its problem document. */
export function problemOf(error: ControlError): ProblemDocument {
  const row = CONTROL_ERRORS[error.code];
  return {
    type: `urn:forklane:problem:${error.code}`,
    title: row.title,
    status: row.status,
    detail: error.message,
    code: error.code,
    fix: row.fix,
    ...(error.errors.length === 0 ? {} : { errors: error.errors.map((each) => ({ ...each })) }),
  };
}
