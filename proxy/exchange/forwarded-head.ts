import type { FaultCode } from "../fault.ts";
import {
  allConnectionOptions,
  CONNECTION_OPTIONS_MAX,
  connectionOptions,
  nominatesFields,
} from "../message/connection-options.ts";
import type { FieldList } from "../message/field-list.ts";
import type { RequestHead, ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { isProtected } from "../message/relied-on.ts";

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
  if ((fields.present & (1 << FIELD.HOST)) === 0 && !edit.hasAdded("host")) {
    edit.add("host", head.authority || upstream);
  }
  if ((fields.present & HOP_BY_HOP) === 0) return null;
  const options = connectionOptions(fields);
  if (options.length > CONNECTION_OPTIONS_MAX) return "field-protected";
  const nominates = nominatesFields(options);
  for (let i = 0; nominates && i < options.length; i++) {
    const option = options[i] ?? "";
    if (isProtected(option) || carrierNames.includes(option)) return "field-protected";
  }
  if (isTeTooLong(fields)) return "field-protected";
  let keepsTe = false;
  for (let i = 0; i < fields.count; i++) {
    const id = fields.id(i);
    if (id === FIELD.UPGRADE && isUpgrade) continue;
    // Not where Connection says upgrade: RFC 9110 section 10.1.4 would have it name TE as well.
    if (id === FIELD.TE && !isUpgrade && fields.isValue(i, "trailers")) keepsTe = true;
    else if (isHopByHop(id)) edit.drop(i);
    else if (nominates && isNominable(id) && options.includes(lowerName(fields, i))) edit.drop(i);
  }
  if (isUpgrade) edit.add("connection", "upgrade");
  else if (keepsTe) edit.add("connection", "te");
  return null;
}

/** The same for a response; what the upstream names in `Connection`, however much, can do no harm here. */
export function forwardResponseHead(head: ResponseHead, edit: HeadEdit, isUpgrade: boolean): void {
  const fields = head.fields;
  if ((fields.present & HOP_BY_HOP) !== 0) {
    const options = allConnectionOptions(fields);
    const nominated = nominatesFields(options) ? new Set(options) : null;
    for (let i = 0; i < fields.count; i++) {
      const id = fields.id(i);
      if (id === FIELD.UPGRADE && isUpgrade) continue;
      const isNamed = nominated !== null && isNominable(id) && nominated.has(lowerName(fields, i));
      if (isNamed || isHopByHop(id)) edit.drop(i);
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

/** What we know is ours to handle, whoever names it. */
function isNominable(id: number): boolean {
  return id === FIELD.OTHER || id === FIELD.DATE;
}

function lowerName(fields: FieldList, index: number): string {
  return fields.name(index).toLowerCase();
}

/** Longer than any list of codings that is in use: abuse (Envoy's limit). */
const TE_CHARS_MAX = 255;

function isTeTooLong(fields: FieldList): boolean {
  if ((fields.present & (1 << FIELD.TE)) === 0) return false;
  let chars = 0;
  for (let i = fields.find("te", 0); i >= 0; i = fields.find("te", i + 1)) {
    chars += fields.value(i).length;
  }
  return chars > TE_CHARS_MAX;
}
