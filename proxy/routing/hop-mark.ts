import { HOP_MEMBER, memberEnd, memberValueAt, trimmed } from "./baggage.ts";
import type { CarrierFields } from "./tag.ts";

/**
 * Reads the mark of the hop that caused a request: baggage member `forklane-hop=<root>.<hop>`.
 *
 * Before: exchange/hop.ts, which sets the next one. After: routing/baggage.ts.
 * Invariant: a malformed mark is as if it were not there; a request never fails for it.
 * Hot path: once per tagged request.
 */

/** Header to which each proxy on a tagged request's way appends itself. */
export const VIA_HEADER = "forklane-via";

/** Which tree of hops a request belongs to, and which hop of it came before. */
export interface HopMark {
  /** 16 lower-case hex characters each. */
  readonly root: string;
  readonly hop: string;
}

const MARK = /^([0-9a-f]{16})\.([0-9a-f]{16})(?=[ \t]*(?:;|$))/;

/** Reads the last well-formed mark of all baggage lines; null if there is none. */
export function readHopMark(fields: CarrierFields): HopMark | null {
  let found: HopMark | null = null;
  for (let line = fields.find("baggage", 0); line >= 0; line = fields.find("baggage", line + 1)) {
    const value = fields.value(line);
    if (!value.includes(HOP_MEMBER)) continue;
    for (let start = 0; start <= value.length; ) {
      const end = memberEnd(value, start);
      const at = memberValueAt(value, start, end, HOP_MEMBER);
      if (at >= 0) found = parseMark(trimmed(value, at, end)) ?? found;
      start = end + 1;
    }
  }
  return found;
}

function parseMark(text: string): HopMark | null {
  const match = MARK.exec(text);
  const [, root, hop] = match ?? [];
  return root === undefined || hop === undefined ? null : { root, hop };
}
