import type { FieldList } from "../message/field-list.ts";
import { type HeadEdit, type WrittenLine, writtenLine } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { HOP_MEMBER, leadingMemberEnd, skipWhiteSpace } from "../routing/baggage.ts";
import { type HopMark, readHopMark, VIA_HEADER } from "../routing/hop-mark.ts";
import type { Tag } from "../routing/tag.ts";
import type { ExchangeContext } from "./context.ts";
import { setMember } from "./identify.ts";
import { entryHop, MARK_BYTES, NO_HOP, nextHop, type PlacedHop, sharedHop } from "./placed-hop.ts";

/**
 * Gives a tagged exchange its place in the tree, and writes it where the service carries it along.
 *
 * Before: exchange/identify.ts. After: exchange/forwarded-head.ts.
 * Invariant: the next proxy reads exactly this hop as its parent, with calls in parallel too; the
 * proxies that one call passes on its way to one service (the caller's, the baseline's, the fork's)
 * share one hop.
 * Hot path of tagged traffic.
 *
 * `workload` is who is called. `given` is the hop that caused a call whose tag was given back.
 */
export function markHop(
  context: ExchangeContext,
  workload: string,
  tag: Tag,
  fields: FieldList,
  edit: HeadEdit,
  given: HopMark | null = null,
): PlacedHop {
  if (tag.kind === "none") return NO_HOP;
  const hop = placeInTree(context, fields, edit, given);
  writeMark(fields, edit, hop);
  appendVia(fields, edit, viaLine(context, workload, hop));
  return hop;
}

/** Tells whether the proxy finds its own mark: the request came back without a service between. */
export function isOwnMark(context: ExchangeContext, fields: FieldList): boolean {
  if ((fields.present & (1 << FIELD.FORKLANE_VIA)) === 0) return false;
  const isOutbound = context.mode === "outbound";
  const id = FIELD.FORKLANE_VIA;
  for (let i = fields.findKnown(id, 0); i >= 0; i = fields.findKnown(id, i + 1)) {
    const value = fields.value(i);
    if (!value.includes(context.instance)) continue;
    for (const entry of value.split(",")) {
      const who = entry.slice(entry.indexOf(";") + 1).trim();
      // The two directions of one proxy are two places on the way.
      if (isOutbound ? who.startsWith(`${context.instance}${FROM}`) : who === context.instance) {
        return true;
      }
    }
  }
  return false;
}

function placeInTree(
  context: ExchangeContext,
  fields: FieldList,
  edit: HeadEdit,
  given: HopMark | null,
): PlacedHop {
  // Where identify.ts changed the head, the tag is not the request's own, and no mark in it is.
  const mark = given ?? (edit.isEmpty ? readHopMark(fields) : null);
  if (mark === null) return entryHop();
  const before = context.mode === "outbound" ? null : handedOver(context, fields);
  if (before !== null) return sharedHop(mark.root, mark.hop, before.parent);
  return nextHop(mark.root, mark.hop);
}

/** The proxy before this one, on the way of the same call to the same service. */
interface ProxyBefore {
  /** The hop that caused the call, as far as it says. */
  readonly parent: string | null;
}

/**
 * Who forwarded the request as this same hop, by the last entry of the way: the caller's proxy, or
 * next to a fork also the baseline's; null where a service was between.
 */
function handedOver(context: ExchangeContext, fields: FieldList): ProxyBefore | null {
  if ((fields.present & (1 << FIELD.FORKLANE_VIA)) === 0) return null;
  const last = fields.value(lastOf(fields, FIELD.FORKLANE_VIA));
  const at = skipWhiteSpace(last, last.lastIndexOf(",") + 1, last.length);
  const { workload } = context;
  if (!last.startsWith(workload, at) || last[at + workload.length] !== ";") return null;
  const from = last.indexOf(FROM, at + workload.length);
  if (from >= 0) return { parent: parentIn(last.slice(from + FROM.length)) };
  return context.sandbox === null ? null : { parent: null };
}

/** Ends the entry of an outbound proxy: the hop that caused the call, or `-` at the entry. */
const FROM = ";from=";

function parentIn(text: string): string | null {
  return /^[0-9a-f]{16}$/.test(text) ? text : null;
}

function viaLine(context: ExchangeContext, workload: string, hop: PlacedHop): WrittenLine {
  if (context.mode !== "outbound") return context.via;
  const entry = `${workload};${context.instance}${FROM}${hop.parent ?? "-"}`;
  return writtenLine(VIA_HEADER, entry);
}

/** Changes the one baggage line where it begins, if that is all there is to change. */
function writeMark(fields: FieldList, edit: HeadEdit, hop: PlacedHop): void {
  const at = fields.findKnown(FIELD.BAGGAGE, 0);
  const isOnly = at >= 0 && fields.findKnown(FIELD.BAGGAGE, at + 1) < 0 && edit.isKept(at);
  const end = isOnly ? leadingMemberEnd(fields.value(at), HOP_MEMBER) : -1;
  if (end < 0) setMember(fields, edit, "baggage", HOP_MEMBER, `${hop.root}.${hop.hop}`);
  else edit.splice(at, 0, end, hop.bytes, hop.start, hop.start + MARK_BYTES);
}

/** Longest `forklane-via` that is passed on: far more proxies in a row than a call ever meets. */
const VIA_CHARS_MAX = 2_048;

/** Lines of one name are one list (RFC 9110 section 5.3), whose end is that of the last; -1 for none. */
function lastOf(fields: FieldList, id: number): number {
  let last = -1;
  for (let i = fields.findKnown(id, 0); i >= 0; i = fields.findKnown(id, i + 1)) last = i;
  return last;
}

function appendVia(fields: FieldList, edit: HeadEdit, own: WrittenLine): void {
  const at = lastOf(fields, FIELD.FORKLANE_VIA);
  if (at < 0 || edit.isDropped(at)) {
    edit.addWritten(own);
    return;
  }
  const end = fields.valueLength(at);
  if (end <= VIA_CHARS_MAX && edit.isKept(at)) edit.splice(at, end, end, own.item);
  else edit.replace(at, `${edit.value(fields, at).slice(-VIA_CHARS_MAX)}, ${own.value}`);
}
