import { HOP_MEMBER, memberEnd, memberValueAt, skipWhiteSpace } from "./baggage.ts";
import type { CarrierFields } from "./tag.ts";

/**
 * The mark of the hop that caused a request, baggage member `forklane-hop=<root>.<hop>`: what it looks like,
 * and reading it.
 *
 * Before: routing/baggage-line.ts, exchange/hop.ts, which sets the next one. After: routing/baggage.ts.
 * Invariant: a malformed mark is as if it were not there; a request never fails for it.
 * Hot path: beginsWithMark, once per tagged request; readHopMark where the mark stands elsewhere.
 */

/** Characters of an id: 64 bits in lower-case hex. */
export const ID_CHARS = 16;

/** A mark as we write it, first in its line: `forklane-hop=<root>.<hop>,`. */
export const BEFORE_ROOT = `${HOP_MEMBER}=`;
/** Where in it the ids begin. */
export const ROOT_AT = BEFORE_ROOT.length;
export const HOP_AT = ROOT_AT + ID_CHARS + 1;
/** Its length, the comma included. */
export const MARK_CHARS = HOP_AT + ID_CHARS + 1;

/** Which tree of hops a request belongs to, and which hop of it came before. */
export interface HopMark {
  /** ID_CHARS each. */
  readonly root: string;
  readonly hop: string;
}

/** Reads the last well-formed mark of all baggage lines; null if there is none. */
export function readHopMark(fields: CarrierFields): HopMark | null {
  let found: HopMark | null = null;
  for (let line = fields.find("baggage", 0); line >= 0; line = fields.find("baggage", line + 1)) {
    const value = fields.value(line);
    if (!value.includes(HOP_MEMBER)) continue;
    for (let start = 0; start <= value.length; ) {
      const end = memberEnd(value, start);
      const at = memberValueAt(value, start, end, HOP_MEMBER);
      if (at >= 0) found = parseMark(value, skipWhiteSpace(value, at, end), end) ?? found;
      start = end + 1;
    }
  }
  return found;
}

/** The characters of values, one by one; message/field-list.ts fits. */
export interface ValueCodes {
  /** How many characters the value has. */
  valueLength(index: number): number;
  /** The character at `at`, as its code; only within the value. */
  valueCode(index: number, at: number): number;
}

/** Whether a value begins with a mark as we write it, and goes on behind it. */
export function beginsWithMark(fields: ValueCodes, index: number): boolean {
  if (fields.valueLength(index) <= MARK_CHARS) return false;
  for (let at = 0; at < ROOT_AT; at++) {
    if (fields.valueCode(index, at) !== BEFORE_ROOT.charCodeAt(at)) return false;
  }
  for (let i = 0; i < ID_CHARS; i++) {
    if (!isHexCode(fields.valueCode(index, ROOT_AT + i))) return false;
    if (!isHexCode(fields.valueCode(index, HOP_AT + i))) return false;
  }
  if (fields.valueCode(index, HOP_AT - 1) !== DOT) return false;
  return fields.valueCode(index, MARK_CHARS - 1) === COMMA;
}

/** Reads `<root>.<hop>`, and behind it nothing but properties. */
function parseMark(value: string, start: number, end: number): HopMark | null {
  const dot = start + ID_CHARS;
  const behind = dot + 1 + ID_CHARS;
  if (behind > end || value.charCodeAt(dot) !== DOT) return null;
  if (!isHex(value, start, dot) || !isHex(value, dot + 1, behind)) return null;
  const next = skipWhiteSpace(value, behind, end);
  if (next < end && value.charCodeAt(next) !== SEMICOLON) return null;
  return { root: value.slice(start, dot), hop: value.slice(dot + 1, behind) };
}

function isHex(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (!isHexCode(text.charCodeAt(at))) return false;
  }
  return true;
}

function isHexCode(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
}

const COMMA = 0x2c;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
