/** Longest DNS label (RFC 1035 section 2.3.4), for namespace and name each. */
const LABEL_CHARS_MAX = 63;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** Tells whether `text` is `namespace/name`, both DNS labels, as in `shop/cart`. */
export function isWorkloadName(text: string): boolean {
  const slash = text.indexOf("/");
  if (slash < 1) return false;
  return isDnsLabel(text.slice(0, slash)) && isDnsLabel(text.slice(slash + 1));
}

/** Tells whether `text` is one lower-case DNS label of at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return text.length <= LABEL_CHARS_MAX && LABEL.test(text);
}
