/** Header that names a key to an edge, and the second carrier that every proxy reads. */
export const KEY_HEADER = "forklane-key";

/** Baggage member that every proxy reads first. */
const BAGGAGE_MEMBER = "sandbox";

/** Marks a tag that must never end at the baseline by accident. */
const STRICT_MARK = "!";

/** How a request says its tag. */
export type TagForm = "baggage" | "header";

/** Makes a tag strict or not; one that says `!` itself stays strict. */
export function toTag(key: string, isStrict: boolean): string {
  return isStrict && !key.endsWith(STRICT_MARK) ? `${key}${STRICT_MARK}` : key;
}

/**
 * Adds the tag to a request's headers, as baggage or, for an edge, as `forklane-key`.
 *
 * Baggage that is there already is added to, never replaced; `baggage` may stand on several lines
 * (W3C Baggage section 3.2).
 */
export function tagHeaders(
  headers: readonly (readonly [string, string])[],
  tag: string,
  form: TagForm,
): (readonly [string, string])[] {
  return form === "header"
    ? [...headers, [KEY_HEADER, tag]]
    : [...headers, ["baggage", `${BAGGAGE_MEMBER}=${tag}`]];
}
