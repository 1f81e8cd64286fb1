import type { FieldList } from "../message/field-list.ts";
import type { RequestHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import type { DownstreamStream } from "../message/stream.ts";
import { withMember, withoutMembers } from "../routing/baggage.ts";
import type { BaggageLine } from "../routing/baggage-line.ts";
import { carrierHeader, KEY_HEADER } from "../routing/carrier.ts";
import { keyFromHost, readEntry } from "../routing/edge-entry.ts";
import { NO_TAG, readTag, type Tag } from "../routing/tag.ts";
import type { CarrierSet, ExchangeContext } from "./context.ts";

/**
 * Finds out whose request this is: reads its tag, or at the edge turns host, cookie or header into one.
 *
 * Before: exchange/exchange.ts. After: routing/decide.ts.
 * Invariant: a tag of somebody who is not trusted is not believed, and not passed on either.
 * Hot path: a request without any carrier costs a look at one number.
 *
 * `baggage` is what trustedBaggage says of the request.
 */
export function identify(
  context: ExchangeContext,
  downstream: DownstreamStream,
  edit: HeadEdit,
  baggage: BaggageLine | null,
): Tag {
  const head = downstream.head;
  const hasCarrier = mayCarryTag(context, head.fields);
  if (hasCarrier && (baggage !== null || context.trustTagsFrom.includes(downstream.address))) {
    const tag = readCarriers(context, head.fields, baggage);
    if (tag !== NO_TAG || context.mode !== "edge") return tag;
  }
  const entry =
    context.mode === "edge" ? readEntry(context.entries, head.authority, head.fields) : null;
  if (hasCarrier || (head.fields.present & OWN_FIELDS) !== 0)
    removeTags(context, head.fields, edit);
  if (entry === null) return NO_TAG;
  if (entry.host !== null) restoreHost(head, edit, entry.host);
  if (entry.tag.kind === "keys") carryTag(context, head.fields, edit, entry.tag);
  return entry.tag;
}

/**
 * Reads the only baggage line of a request; null where it has more or none, or whoever sent it is not
 * believed: what is remembered of lines is not an outsider's to fill.
 */
export function trustedBaggage(
  context: ExchangeContext,
  downstream: DownstreamStream,
): BaggageLine | null {
  const { fields } = downstream.head;
  if ((fields.present & (1 << FIELD.BAGGAGE)) === 0) return null;
  if (!context.trustTagsFrom.includes(downstream.address)) return null;
  const at = fields.findKnown(FIELD.BAGGAGE, 0);
  if (fields.findKnown(FIELD.BAGGAGE, at + 1) >= 0) return null;
  return context.carriers.baggage.read(fields, at);
}

function readCarriers(
  context: ExchangeContext,
  fields: FieldList,
  baggage: BaggageLine | null,
): Tag {
  const { carriers } = context;
  const isAlone = (fields.present & carriers.mask) === 1 << FIELD.BAGGAGE;
  if (baggage !== null && isAlone && !hasOther(carriers, fields)) return baggage.said.tag;
  return readTag(carriers.list, fields);
}

function mayCarryTag({ carriers }: ExchangeContext, fields: FieldList): boolean {
  return (fields.present & carriers.mask) !== 0 || hasOther(carriers, fields);
}

function hasOther({ otherNames }: CarrierSet, fields: FieldList): boolean {
  for (const name of otherNames) {
    if (fields.find(name, 0) >= 0) return true;
  }
  return false;
}

/** Fields of ours: from outside they are no more believed than a tag. */
const OWN_FIELDS =
  (1 << FIELD.FORKLANE_KEY) |
  (1 << FIELD.FORKLANE_VIA) |
  (1 << FIELD.FORKLANE_DECISION) |
  (1 << FIELD.FORKLANE_TRACE) |
  (1 << FIELD.FORKLANE_FAULT) |
  (1 << FIELD.FORKLANE_OTHER);

/** Takes every carrier and every field and member of ours out of a request. */
export function removeTags(context: ExchangeContext, fields: FieldList, edit: HeadEdit): void {
  const carriers = context.carriers;
  for (let i = 0; i < fields.count; i++) {
    const name = fields.name(i).toLowerCase();
    if (name.startsWith("forklane-")) {
      edit.drop(i);
      continue;
    }
    for (const carrier of carriers.list) {
      if (carrierHeader(carrier) !== name) continue;
      if (carrier.kind === "header") edit.drop(i);
      else removeMembers(fields, i, edit, carriers.members);
      break;
    }
    if (name === "baggage") removeMembers(fields, i, edit, carriers.members);
  }
}

/**
 * The same for a call that leaves the cluster, where nobody of ours reads it: also our members where an
 * older tracer puts baggage, and what a request may have entered by at the edge (cookie, name of a host).
 */
export function removeEveryTrace(
  context: ExchangeContext,
  fields: FieldList,
  edit: HeadEdit,
): void {
  removeTags(context, fields, edit);
  for (let i = 0; i < fields.count; i++) {
    const name = fields.name(i).toLowerCase();
    if (name === "correlation-context") removeMembers(fields, i, edit, context.carriers.members);
    else if (name === "cookie") replaceOrDrop(fields, i, edit, withoutKeyCookie(fields.value(i)));
    else if (name === "x-forwarded-host") {
      replaceOrDrop(fields, i, edit, withoutKeyInHosts(fields.value(i)));
    }
  }
}

function withoutKeyCookie(value: string): string {
  if (!value.includes(KEY_HEADER)) return value;
  const isKey = (pair: string) => pair.trimStart().startsWith(`${KEY_HEADER}=`);
  const pairs = value.split(";");
  return pairs.some(isKey)
    ? pairs
        .filter((pair) => !isKey(pair))
        .join(";")
        .trim()
    : value;
}

function withoutKeyInHosts(value: string): string {
  if (!value.includes("--")) return value;
  return value.replace(/[^,\s]+/g, (host) => keyFromHost(host)?.host ?? host);
}

function replaceOrDrop(fields: FieldList, index: number, edit: HeadEdit, value: string): void {
  if (edit.isDropped(index)) return;
  if (value === "") edit.drop(index);
  else if (value !== fields.value(index)) edit.replace(index, value);
}

function removeMembers(
  fields: FieldList,
  index: number,
  edit: HeadEdit,
  names: readonly string[],
): void {
  if (edit.isDropped(index)) return;
  const value = edit.value(fields, index);
  const rest = withoutMembers(value, names);
  if (rest === "") edit.drop(index);
  else if (rest !== value) edit.replace(index, rest);
}

/** Puts the tag on the request, in the first carrier, beside what the application carries. */
export function carryTag(
  context: ExchangeContext,
  fields: FieldList,
  edit: HeadEdit,
  tag: Tag,
): void {
  const carrier = context.carriers.list[0];
  if (carrier === undefined) return;
  if (carrier.kind === "header") edit.add(carrier.name, tag.text);
  else setMember(fields, edit, carrierHeader(carrier), carrier.member, tag.text);
}

/** Sets one member of a list field such as `baggage`, in its first line or in a new one. */
export function setMember(
  fields: FieldList,
  edit: HeadEdit,
  header: string,
  member: string,
  value: string,
): void {
  let target = -1;
  for (let i = fields.find(header, 0); i >= 0; i = fields.find(header, i + 1)) {
    if (edit.isDropped(i)) continue;
    if (target < 0) target = i;
    else removeMembers(fields, i, edit, [member]);
  }
  if (target >= 0) edit.replace(target, withMember(edit.value(fields, target), member, value));
  else if (!edit.setAddedMember(header, member, value)) edit.add(header, `${member}=${value}`);
}

/** The application sees the host that it is known by; `x-forwarded-host` keeps the other. */
function restoreHost({ fields, authority }: RequestHead, edit: HeadEdit, host: string): void {
  const at = fields.find("host", 0);
  for (
    let i = fields.find("x-forwarded-host", 0);
    i >= 0;
    i = fields.find("x-forwarded-host", i + 1)
  ) {
    edit.drop(i);
  }
  edit.add("x-forwarded-host", authority);
  // HTTP/1.0 may have named it in its target alone.
  if (at < 0) edit.add("host", host);
  else edit.replace(at, host);
}
