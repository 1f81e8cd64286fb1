import type { FieldList } from "../message/field-list.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { HOP_MEMBER } from "../routing/baggage.ts";
import { readHopMark, VIA_HEADER } from "../routing/hop-mark.ts";
import type { Tag } from "../routing/tag.ts";
import type { ExchangeContext } from "./context.ts";
import { newHopId } from "./hop-id.ts";
import { setMember } from "./identify.ts";

/** Where one exchange stands in the tree of hops that one request causes. */
export interface Hop {
  readonly root: string;
  readonly hop: string;
  readonly parent: string | null;
  /** Whether the root was made here: nobody marked the request before. */
  readonly isEntry: boolean;
}

/** Untagged: not part of any tree. */
export const NO_HOP: Hop = { root: "", hop: "", parent: null, isEntry: false };

/**
 * Gives a tagged exchange its place in the tree, and writes it where the service carries it along.
 *
 * Before: exchange/identify.ts. After: exchange/forwarded-head.ts.
 * Invariant: the next proxy reads exactly this hop as its parent, with calls in parallel too.
 * Hot path of tagged traffic: two strings.
 */
export function markHop(
  context: ExchangeContext,
  tag: Tag,
  fields: FieldList,
  edit: HeadEdit,
): Hop {
  if (tag.kind === "none") return NO_HOP;
  const hop = placeInTree(context, fields, edit);
  setMember(fields, edit, "baggage", HOP_MEMBER, `${hop.root}.${hop.hop}`);
  appendVia(context, fields, edit);
  return hop;
}

/** Tells whether the proxy finds its own mark: the request came back without a service between. */
export function isOwnMark(context: ExchangeContext, fields: FieldList): boolean {
  if ((fields.present & (1 << FIELD.FORKLANE_VIA)) === 0) return false;
  for (let i = fields.find(VIA_HEADER, 0); i >= 0; i = fields.find(VIA_HEADER, i + 1)) {
    for (const entry of fields.value(i).split(",")) {
      if (entry.slice(entry.indexOf(";") + 1).trim() === context.instance) return true;
    }
  }
  return false;
}

function placeInTree(context: ExchangeContext, fields: FieldList, edit: HeadEdit): Hop {
  // Where identify.ts changed the head, the tag is not the request's own, and no mark in it is.
  const mark = edit.isEmpty ? readHopMark(fields) : null;
  if (mark === null) return { root: newHopId(), hop: newHopId(), parent: null, isEntry: true };
  if (context.sandbox !== null && comesFromOwnBaseline(context, fields)) {
    return { root: mark.root, hop: mark.hop, parent: null, isEntry: false };
  }
  return { root: mark.root, hop: newHopId(), parent: mark.hop, isEntry: false };
}

/** Next to a fork: the baseline's proxy of the same workload forwarded it, so this is the same hop. */
function comesFromOwnBaseline(context: ExchangeContext, fields: FieldList): boolean {
  if ((fields.present & (1 << FIELD.FORKLANE_VIA)) === 0) return false;
  let last = "";
  for (let i = fields.find(VIA_HEADER, 0); i >= 0; i = fields.find(VIA_HEADER, i + 1)) {
    last = fields.value(i);
  }
  const entry = last.slice(last.lastIndexOf(",") + 1).trim();
  return entry.startsWith(`${context.workload};`);
}

/** Longest `forklane-via` that is passed on: far more proxies in a row than a call ever meets. */
const VIA_CHARS_MAX = 2_048;

function appendVia(context: ExchangeContext, fields: FieldList, edit: HeadEdit): void {
  const own = `${context.workload};${context.instance}`;
  const at = fields.find(VIA_HEADER, 0);
  if (at < 0 || edit.isDropped(at)) edit.add(VIA_HEADER, own);
  else edit.replace(at, `${fields.value(at).slice(-VIA_CHARS_MAX)}, ${own}`);
}
