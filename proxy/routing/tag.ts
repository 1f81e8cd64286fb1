import { CONTROL_ARM_SUFFIX, isRoutingKey } from "../../core/routing-key.ts";
import {
  HOP_MEMBER,
  memberEnd,
  memberValueAt,
  RUN_MEMBER,
  skipWhiteSpace,
  trimmed,
} from "./baggage.ts";
import { type Carrier, carrierHeader } from "./carrier.ts";
import { detached } from "./detached.ts";
import { RecurringMap } from "./recurring-map.ts";

/**
 * Reads the tag of a request: which routing keys it carries, and how strictly.
 *
 * Before: routing/baggage-line.ts, which remembers the answer; exchange/identify.ts. After: routing/decide.ts.
 * Invariants: total on any bytes; parsed, never searched for (`pr-12` is no part of `pr-123`);
 * a strict tag that cannot be read stays strict.
 * Hot path where the answer is not remembered: it allocates one short string as long as the tag was seen
 * lately.
 */

/** The fields of a head as far as routing needs them; message/field-list.ts fits. */
export interface CarrierFields {
  /** The index of the first field at or after `from` with this lower-case name; -1 if none. */
  find(name: string, from: number): number;
  /** The value as latin1, without white space around it. */
  value(index: number): string;
}

/** What a request says about where it wants to go. */
export interface Tag {
  readonly kind: "none" | "keys" | "unreadable";
  /**
   * The value as received, decoded, without properties, strict mark included (`jane-42!`): at
   * most 200 printable ASCII characters, `?` for any other; empty if there is no tag.
   */
  readonly text: string;
  /** Never the baseline by accident. */
  readonly strict: boolean;
  /** One key, or up to TAG_KEYS_MAX composed ones; empty unless kind is `keys`. */
  readonly keys: readonly TagKey[];
  /** Another tag in the same carrier says something else; the last one won. */
  readonly ambiguous: boolean;
}

/** One key of a tag. */
export interface TagKey {
  /** The routing key, without `.base`. */
  readonly key: string;
  /** The control arm of the key: known where the key is, and forks nothing. */
  readonly base: boolean;
}

/** The tag of a request that carries none. */
export const NO_TAG: Tag = { kind: "none", text: "", strict: false, keys: [], ambiguous: false };

/** Most keys in one composed tag (`a~b~c~d`). */
export const TAG_KEYS_MAX = 4;

/** Longest text that a tag keeps of what it read: four keys, marks included, are 182. */
export const TAG_TEXT_CHARS_MAX = 200;

/** How much of baggage counts, over all its headers together (W3C Baggage section 3.3.2). */
export const BAGGAGE_BYTES_MAX = 8_192;
export const BAGGAGE_MEMBERS_MAX = 64;

/**
 * Tags past those limits that are still looked at, for a strict one: a bound on the work. Of more than
 * these nobody knows what they ask for, so the whole is strict, and refused.
 */
export const UNCOUNTED_MAX = 64;

/** Reads the tag from the first carrier that holds something; NO_TAG if none does. */
export function readTag(carriers: readonly Carrier[], fields: CarrierFields): Tag {
  for (const carrier of carriers) {
    const header = carrierHeader(carrier);
    const member = carrier.kind === "header" ? null : carrier.member;
    const first = fields.find(header, 0);
    if (first < 0) continue;
    const tag = readLines(fields, header, first, member);
    if (tag.kind !== "none") return tag;
  }
  return NO_TAG;
}

/**
 * Reads all lines of a header as the one list that they are (RFC 9110 section 5.3).
 *
 * `member` null: a plain header, each item of which is a value. Our own marks do not count
 * towards the limits: they come and go on the way, and must not push a tag out.
 */
function readLines(
  fields: CarrierFields,
  header: string,
  first: number,
  member: string | null,
): Tag {
  let found = NO_TAG;
  let bytes = -1; // n members have n - 1 commas
  let members = 0;
  let uncounted = 0;
  for (let line = first; line >= 0; line = fields.find(header, line + 1)) {
    const value = fields.value(line);
    for (let start = 0, end = 0; start <= value.length; start = end + 1) {
      end = memberEnd(value, start);
      const nameAt = skipWhiteSpace(value, start, end);
      // An empty member says nothing, and gives its place to our mark on the way.
      if (nameAt === end) continue;
      if (!isOurMark(value, nameAt, end)) {
        bytes += end - start + 1;
        members++;
      }
      const at = member === null ? nameAt : memberValueAt(value, nameAt, end, member);
      if (at < 0) continue;
      const tag = parseTagValue(trimmed(value, at, end));
      if (bytes <= BAGGAGE_BYTES_MAX && members <= BAGGAGE_MEMBERS_MAX) {
        found = withLater(found, tag);
      } else if (uncounted++ < UNCOUNTED_MAX) {
        found = withUncounted(found, tag);
      } else return withUnknown(found);
    }
  }
  return found;
}

function isOurMark(value: string, nameAt: number, end: number): boolean {
  if (value.charCodeAt(nameAt) !== HOP_MEMBER.charCodeAt(0)) return false;
  return (
    memberValueAt(value, nameAt, end, HOP_MEMBER) >= 0 ||
    memberValueAt(value, nameAt, end, RUN_MEMBER) >= 0
  );
}

/** The last one wins, as in the OpenTelemetry SDKs: hop 2 sees what hop 1 saw. */
function withLater(found: Tag, later: Tag): Tag {
  if (later.kind === "none" || isSame(found, later)) return found;
  if (found.kind === "none") return later;
  return { ...later, strict: found.strict || later.strict, ambiguous: true };
}

/** A tag past the limits decides nothing, but it is not overlooked either. */
function withUncounted(found: Tag, past: Tag): Tag {
  if (past.kind === "none" || isSame(found, past)) return found;
  if (found.kind === "none") return { ...past, kind: "unreadable", keys: [] };
  return { ...found, strict: found.strict || past.strict, ambiguous: true };
}

/** The rest is not read, and may say anything. */
function withUnknown(found: Tag): Tag {
  const kind = found.kind === "none" ? "unreadable" : found.kind;
  return { ...found, kind, strict: true, ambiguous: true };
}

function isSame(a: Tag, b: Tag): boolean {
  return a.text === b.text && a.strict === b.strict;
}

/** A proxy meets the same few values again and again. At most 1 MB. */
const recentTags = new RecurringMap<string, Tag>(1_024);
/** Longest value worth remembering: a composed tag with `!` and `~` percent-encoded. */
const RECENT_CHARS_MAX = 256;

/** Reads one plain value, as a carrier's member or header, a cookie or a user gives it. */
export function parseTagValue(text: string): Tag {
  if (text.length > RECENT_CHARS_MAX) return parseValue(text);
  const recent = recentTags.get(text);
  if (recent !== undefined) return recent;
  const tag = parseValue(text);
  if (recentTags.admits(text)) recentTags.keep(text, tag);
  return tag;
}

/** Reads several values of one carrier: the last one wins, and does not hide that another is strict. */
export function parseTagValues(texts: readonly string[]): Tag {
  return texts.reduce((found, text) => withLater(found, parseTagValue(text)), NO_TAG);
}

/**
 * Properties (`;strict`) stand after the value, or, once an SDK has taken them for a part of it,
 * percent-encoded inside (`a%3Bstrict`): so the value is decoded, then cut at its first `;`.
 */
function parseValue(text: string): Tag {
  const [encoded, properties] = cutAtSemicolon(text);
  const [decoded, innerProperties] = cutAtSemicolon(percentDecoded(encoded));
  const value = trimmed(decoded, 0, decoded.length);
  const hasProperty = hasStrictProperty(properties) || hasStrictProperty(innerProperties);
  if (value === "" && !hasProperty) return NO_TAG;
  const keys = parseKeys(value.endsWith("!") ? value.slice(0, -1) : value);
  if (keys === null) return unreadable(value, hasProperty);
  const strict = hasProperty || value.endsWith("!");
  return { kind: "keys", text: textOf(value, strict), strict, keys, ambiguous: false };
}

function cutAtSemicolon(text: string): [string, string] {
  const at = text.indexOf(";");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Decodes once; a broken sequence stays, and makes no key. */
function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function hasStrictProperty(properties: string): boolean {
  if (properties === "") return false;
  return properties.split(";").some((property) => /^[ \t]*strict[ \t]*(?:=|$)/.test(property));
}

/** Reads `a~b.base`; null unless every part is a key, and they are at most TAG_KEYS_MAX. */
function parseKeys(text: string): readonly TagKey[] | null {
  const names = text.split("~", TAG_KEYS_MAX + 1);
  if (names.length > TAG_KEYS_MAX) return null;
  const keys: TagKey[] = [];
  for (const name of names) {
    const base = name.endsWith(CONTROL_ARM_SUFFIX);
    const key = base ? name.slice(0, -CONTROL_ARM_SUFFIX.length) : name;
    if (!isRoutingKey(key)) return null;
    keys.push({ key: detached(key), base });
  }
  return keys;
}

/** `!` is in no key, so wherever it stands somebody meant strict (`a!~b`). */
function unreadable(value: string, hasProperty: boolean): Tag {
  const strict = hasProperty || value.includes("!");
  return {
    kind: "unreadable",
    text: textOf(value, hasProperty),
    strict,
    keys: [],
    ambiguous: false,
  };
}

function textOf(value: string, marked: boolean): string {
  const text =
    marked && !value.endsWith("!") ? `${value.slice(0, TAG_TEXT_CHARS_MAX - 1)}!` : value;
  return detached(text.slice(0, TAG_TEXT_CHARS_MAX).replace(/[^ -~]/g, "?"));
}
