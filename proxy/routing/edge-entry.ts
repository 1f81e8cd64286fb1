import { isRoutingKey } from "../../core/routing-key.ts";
import { trimmed } from "./baggage.ts";
import { type Carrier, KEY_HEADER } from "./carrier.ts";
import {
  type CarrierFields,
  NO_TAG,
  parseTagValue,
  parseTagValues,
  readTag,
  type Tag,
} from "./tag.ts";

/**
 * Reads the key with which a request enters at the edge, where it cannot carry baggage yet.
 *
 * Before: exchange/identify.ts, admin/explain.ts. After: routing/tag.ts.
 * Invariants: total; a host without a valid key is an ordinary host.
 * Once per request at the edge.
 */

/** Where a request from outside may name a key. */
export type EntryPlace = "host" | "cookie" | "header";

/** A tag that a request from outside names, and the host that it meant. */
export interface Entry {
  readonly tag: Tag;
  /** The host without the key; null where the key was not in it. */
  readonly host: string | null;
}

/** Host, then header, then cookie: the more explicit one wins, and an empty one is none. */
export function readEntry(
  places: readonly EntryPlace[],
  authority: string,
  fields: CarrierFields,
): Entry | null {
  const inHost = places.includes("host") ? keyFromHost(authority) : null;
  if (inHost !== null) return { tag: parseTagValue(inHost.key), host: inHost.host };
  const inHeader = places.includes("header") ? readTag(KEY_HEADER_ONLY, fields) : NO_TAG;
  if (inHeader.kind !== "none") return { tag: inHeader, host: null };
  const inCookie = places.includes("cookie") ? tagInCookies(fields) : NO_TAG;
  return inCookie.kind === "none" ? null : { tag: inCookie, host: null };
}

const KEY_HEADER_ONLY: readonly Carrier[] = [{ kind: "header", name: KEY_HEADER }];

/** Of several the first wins, which for browsers is the one that fits best (RFC 6265 section 5.4). */
function tagInCookies(fields: CarrierFields): Tag {
  const keys: string[] = [];
  for (let i = fields.find("cookie", 0); i >= 0; i = fields.find("cookie", i + 1)) {
    keys.push(...keysFromCookie(fields.value(i)));
  }
  return parseTagValues(keys.reverse());
}

/** A host name that began with a key. */
export interface KeyedHost {
  readonly key: string;
  /** The host that was meant, with its port if it had one. */
  readonly host: string;
}

/**
 * Splits `jane-42--shop.example.com:8443` at the last `--` of its first label; null if what
 * stands before it is no key. Names of hosts have no case (RFC 4343), so the key is lowered.
 */
export function keyFromHost(host: string): KeyedHost | null {
  const labelEnd = host.search(/[.:]|$/);
  const split = host.lastIndexOf("--", labelEnd - 2);
  if (split < 1) return null;
  const key = host.slice(0, split).toLowerCase();
  const rest = host.slice(split + 2);
  return isRoutingKey(key) && /^[A-Za-z0-9]/.test(rest) ? { key, host: rest } : null;
}

/**
 * Reads the tags in the cookies `forklane-key` of a Cookie field, in order; those that are empty are none.
 *
 * They are safe to put into a header: one that is no tag comes percent-encoded, so that it stays
 * unreadable, and strict if it was, and is not mistaken for an untagged request.
 */
export function keysFromCookie(cookieField: string): string[] {
  const keys: string[] = [];
  for (let start = 0; start <= cookieField.length; ) {
    const semicolon = cookieField.indexOf(";", start);
    const end = semicolon < 0 ? cookieField.length : semicolon;
    const pair = trimmed(cookieField, start, end);
    const isKey = pair.startsWith(`${KEY_HEADER}=`);
    const key = isKey ? safeTag(pair.slice(KEY_HEADER.length + 1)) : null;
    if (key !== null) keys.push(key);
    start = end + 1;
  }
  return keys;
}

function safeTag(value: string): string | null {
  const tag = parseTagValue(value.replace(/^"(.*)"$/, "$1"));
  if (tag.kind === "none") return null;
  return tag.kind === "keys" ? tag.text : encodeURIComponent(tag.text);
}
