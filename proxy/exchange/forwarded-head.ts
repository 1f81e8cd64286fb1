import type { FaultCode } from "../fault.ts";
import { CONNECTION_OPTIONS_MAX, connectionOptions } from "../message/connection-options.ts";
import type { FieldList } from "../message/field-list.ts";
import type { RequestHead, ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";

/**
 * Takes out of a head what belongs to one connection only (RFC 9110 section 7.6.1).
 *
 * Before: exchange/exchange.ts. After: the connection that writes the head.
 * Invariant: everything else is passed on byte for byte; what routing or the upstream relies on
 * cannot be taken out by naming it in `Connection`.
 * Hot path: a head without such fields is not walked.
 */
export function forwardRequestHead(
  head: RequestHead,
  edit: HeadEdit,
  isUpgrade: boolean,
  upstream: string,
  carrierNames: readonly string[],
): FaultCode | null {
  const fields = head.fields;
  // RFC 9112 section 3.2: what we send is HTTP/1.1, and has a Host, also for an HTTP/1.0 caller.
  if ((fields.present & (1 << FIELD.HOST)) === 0) edit.add("host", upstream);
  if ((fields.present & HOP_BY_HOP) === 0) return null;
  const options = connectionOptions(fields);
  if (options.length > CONNECTION_OPTIONS_MAX) return "field-protected";
  for (const option of options) {
    if (isProtected(option) || carrierNames.includes(option)) return "field-protected";
  }
  let keepsTe = false;
  for (let i = 0; i < fields.count; i++) {
    const id = fields.id(i);
    if (id === FIELD.UPGRADE && isUpgrade) continue;
    if (id === FIELD.TE && fields.value(i).toLowerCase() === "trailers") keepsTe = true;
    else if (isHopByHop(id) || isNominated(fields, i, id, options)) edit.drop(i);
  }
  if (isUpgrade) edit.add("connection", "upgrade");
  else if (keepsTe) edit.add("connection", "te");
  return null;
}

/** The same for a response; what the upstream names in `Connection` can do no harm here. */
export function forwardResponseHead(head: ResponseHead, edit: HeadEdit, isUpgrade: boolean): void {
  const fields = head.fields;
  if ((fields.present & HOP_BY_HOP) !== 0) {
    const options = connectionOptions(fields);
    for (let i = 0; i < fields.count; i++) {
      const id = fields.id(i);
      if (id === FIELD.UPGRADE && isUpgrade) continue;
      if (isHopByHop(id) || isNominated(fields, i, id, options)) edit.drop(i);
    }
  }
  if (isUpgrade) edit.add("connection", "upgrade");
}

/** Transfer-Encoding is the encoder's: it frames the body anew, mostly in the same way. */
const HOP_BY_HOP =
  (1 << FIELD.CONNECTION) |
  (1 << FIELD.KEEP_ALIVE) |
  (1 << FIELD.PROXY_CONNECTION) |
  (1 << FIELD.TE) |
  (1 << FIELD.UPGRADE) |
  (1 << FIELD.HTTP2_SETTINGS);

function isHopByHop(id: number): boolean {
  return id !== FIELD.OTHER && ((1 << id) & HOP_BY_HOP) !== 0;
}

function isNominated(
  fields: FieldList,
  index: number,
  id: number,
  options: readonly string[],
): boolean {
  if (options.length === 0 || (id !== FIELD.OTHER && id !== FIELD.DATE)) return false;
  return options.includes(fields.name(index).toLowerCase());
}

/** Fields that a nomination in `Connection` must not take away. */
const PROTECTED: ReadonlySet<string> = new Set([
  "authorization",
  "baggage",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "set-cookie",
  "traceparent",
  "tracestate",
  "transfer-encoding",
  "x-request-id",
]);

function isProtected(option: string): boolean {
  return (
    PROTECTED.has(option) || option.startsWith("forklane-") || option.startsWith("x-forwarded-")
  );
}
