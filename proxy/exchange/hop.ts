import type { FieldList } from "../message/field-list.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { HOP_MEMBER } from "../routing/baggage.ts";
import type { BaggageLine } from "../routing/baggage-line.ts";
import { type HopMark, MARK_CHARS, readHopMark } from "../routing/hop-mark.ts";
import type { Tag } from "../routing/tag.ts";
import type { ExchangeContext } from "./context.ts";
import { setMember } from "./identify.ts";
import { entryHop, NO_HOP, nextHop, nextHopOf, type PlacedHop, sharedHop } from "./placed-hop.ts";

/**
 * Gives a tagged exchange its place in the tree, and writes it where the service carries it along.
 *
 * Before: exchange/identify.ts. After: exchange/forwarded-head.ts.
 * Invariant: the next proxy reads exactly this hop as its parent, with calls in parallel too; the
 * proxies that one call passes on its way to one service (the caller's, the baseline's, the fork's)
 * share one hop.
 * Hot path of tagged traffic.
 *
 * `workload` is who is called. `baggage` is what trustedBaggage (identify.ts) says of the request. `given`
 * is the hop that caused a call whose tag was given back.
 */
export function markHop(
  context: ExchangeContext,
  workload: string,
  tag: Tag,
  fields: FieldList,
  edit: HeadEdit,
  baggage: BaggageLine | null,
  given: HopMark | null = null,
): PlacedHop {
  if (tag.kind === "none") return NO_HOP;
  const hop = placeInTree(context, fields, edit, baggage, given);
  writeMark(fields, edit, baggage, hop);
  context.way.append(fields, edit, workload, hop);
  return hop;
}

function placeInTree(
  context: ExchangeContext,
  fields: FieldList,
  edit: HeadEdit,
  baggage: BaggageLine | null,
  given: HopMark | null,
): PlacedHop {
  // Where identify.ts changed the head, the tag is not the request's own, and no mark in it is.
  if (given === null && !edit.isEmpty) return entryHop();
  // If the request has a mark at all, it is the one with which that line begins.
  const isMarkKnown = given === null && baggage !== null && !baggage.said.mayHaveMark;
  if (isMarkKnown && baggage.markChars === 0) return entryHop();
  const before = context.way.before(fields);
  if (isMarkKnown && before === null) return nextHopOf(fields, baggage.index);
  const mark = given ?? readHopMark(fields);
  if (mark === null) return entryHop();
  if (before !== null) return sharedHop(mark.root, mark.hop, before.parent);
  return nextHop(mark.root, mark.hop);
}

/** Changes the one baggage line where it begins, if that is all there is to change. */
function writeMark(
  fields: FieldList,
  edit: HeadEdit,
  baggage: BaggageLine | null,
  hop: PlacedHop,
): void {
  const isPlain = baggage !== null && !baggage.said.mayHaveMark && !baggage.said.isBlank;
  if (isPlain && edit.isKept(baggage.index)) {
    edit.splice(baggage.index, 0, baggage.markChars, hop.bytes, hop.start, hop.start + MARK_CHARS);
  } else setMember(fields, edit, "baggage", HOP_MEMBER, `${hop.root}.${hop.hop}`);
}
