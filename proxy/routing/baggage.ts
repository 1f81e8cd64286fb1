/**
 * The list grammar of W3C baggage: where members are, and changing one without touching the rest.
 *
 * Before: routing/tag.ts, routing/hop-mark.ts; exchange/identify.ts, exchange/hop.ts to change a line.
 * Invariant: a member that is not named stays byte for byte, in its place.
 * Finding allocates nothing; changing makes one string.
 *
 * Values are latin1 (a byte is a character), so that what is not ASCII survives as it came.
 */

/** Our mark of a hop, `<root>.<hop>`. */
export const HOP_MEMBER = "forklane-hop";

/** The mark of a verification run. */
export const RUN_MEMBER = "forklane-run";

/** Where the member that begins at `start` ends: at its comma, or at the end of the value. */
export function memberEnd(value: string, start: number): number {
  const comma = value.indexOf(",", start);
  return comma < 0 ? value.length : comma;
}

/**
 * Where the value of the member in `start..end` begins, white space included; -1 if it has
 * another name. A member without `=` has an empty value at its end (or at its first `;`).
 */
export function memberValueAt(value: string, start: number, end: number, name: string): number {
  const nameAt = skipWhiteSpace(value, start, end);
  if (end - nameAt < name.length || value.charCodeAt(nameAt) !== name.charCodeAt(0)) return -1;
  if (!value.startsWith(name, nameAt)) return -1;
  const at = skipWhiteSpace(value, nameAt + name.length, end);
  if (at === end || value.charCodeAt(at) === SEMICOLON) return at;
  return value.charCodeAt(at) === EQUALS ? at + 1 : -1;
}

/** The value of the last member with this name, properties included; null if there is none. */
export function lastMember(value: string, name: string): string | null {
  let found: string | null = null;
  for (let start = 0; start <= value.length; ) {
    const end = memberEnd(value, start);
    const at = memberValueAt(value, start, end, name);
    if (at >= 0) found = trimmed(value, at, end);
    start = end + 1;
  }
  return found;
}

/**
 * Puts `name=memberValue` first and removes any former member of that name; the rest stays byte
 * for byte, white space too: at the limits of baggage every hop has to count the same bytes. First,
 * because what has to shorten baggage shortens it at the end.
 */
export function withMember(value: string, name: string, memberValue: string): string {
  const kept = keptOf(value, [name]);
  const isNothingLeft = kept === null ? value === "" : trimmed(kept, 0, kept.length) === "";
  return isNothingLeft ? `${name}=${memberValue}` : `${name}=${memberValue},${kept ?? value}`;
}

/**
 * Removes all members with these names, each with its comma; an empty string if none is left. So it does
 * with what a tracer further on may read as one of them. Without any the value itself is answered.
 */
export function withoutMembers(value: string, names: readonly string[]): string {
  const kept = keptOf(value, names, isTakenFor);
  return kept === null ? value : trimmed(kept, 0, kept.length);
}

/** The members without these names, with the white space around them; null if there were none of them. */
function keptOf(value: string, names: readonly string[], isOne = isNamed): string | null {
  let kept = "";
  let hasKept = false;
  let hasRemoved = false;
  const mayHaveOne = names.some((name) => value.includes(name));
  if (!mayHaveOne && (isOne === isNamed || !DISGUISE.test(value))) return null;
  for (let start = 0; start <= value.length; ) {
    const end = memberEnd(value, start);
    if (isOne(value, start, end, names)) hasRemoved = true;
    else {
      kept = hasKept ? `${kept},${value.slice(start, end)}` : value.slice(start, end);
      hasKept = true;
    }
    start = end + 1;
  }
  return hasRemoved ? kept : null;
}

const TAB = 0x09;
const SPACE = 0x20;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

/** The first place in `start..end` without white space (OWS of RFC 9110 section 5.6.3). */
export function skipWhiteSpace(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isWhiteSpace(text.charCodeAt(at))) at++;
  return at;
}

/** The piece `start..end` without white space around it. */
export function trimmed(text: string, start: number, end: number): string {
  const from = skipWhiteSpace(text, start, end);
  let to = end;
  while (to > from && isWhiteSpace(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isWhiteSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}

function isNamed(value: string, start: number, end: number, names: readonly string[]): boolean {
  for (const name of names) {
    if (memberValueAt(value, start, end, name) >= 0) return true;
  }
  return false;
}

/** What is in a name that is not written as it is read. */
const DISGUISE = /[^!-$&-*,-~ \t]/;

/**
 * Whether somebody may read a member as one of these: OpenTelemetry's SDKs decode names, and trim them
 * of more than space and tab, before they send them on as they should have been.
 */
function isTakenFor(value: string, start: number, end: number, names: readonly string[]): boolean {
  const member = value.slice(start, end);
  const [raw = ""] = member.split(/[=;]/, 1);
  if (!DISGUISE.test(raw)) return isNamed(value, start, end, names);
  const decoded = raw
    .replaceAll("+", " ")
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  let from = 0;
  let to = decoded.length;
  while (from < to && isBlankToSomebody(decoded.charCodeAt(from))) from++;
  while (to > from && isBlankToSomebody(decoded.charCodeAt(to - 1))) to--;
  return names.includes(decoded.slice(from, to));
}

/** What JavaScript's, Python's or Java's trimming takes, of latin1. */
function isBlankToSomebody(code: number): boolean {
  return code <= SPACE || code === 0x85 || code === 0xa0;
}
