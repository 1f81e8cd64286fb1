/**
 * Judges by its first bytes whether a connection speaks HTTP/1.
 *
 * Before: listener/call-connection.ts. After: downstream/http1-connection.ts, tunnel/tunnel.ts.
 * Invariants: pure, and the same however the bytes were cut; what may be read as a request line of
 * HTTP/1 in any way is HTTP, so that a malformed one is refused, not passed; but for CONNECT.
 */

/** `more`: it may still become either. */
export type Speech = "http" | "other" | "more";

/**
 * Judges all that came so far; `lineBytesMax` is where a request line is too long to be one. With
 * `isAll` nothing more will come: a line is what it is without its end.
 */
export function judgeFirstBytes(bytes: Buffer, lineBytesMax: number, isAll = false): Speech {
  const start = skipEmptyLines(bytes);
  const end = bytes.indexOf(LF, start);
  const line = bytes.toString("latin1", start, end < 0 ? bytes.length : end);
  // Who asks a forward proxy for a tunnel speaks to that one, and what follows is no HTTP of ours.
  if (line.startsWith(CONNECT)) return "other";
  if (end >= 0 || isAll) return REQUEST_LINE.test(line) ? "http" : "other";
  if (!MAY_BECOME_ONE.test(line)) return "other";
  return bytes.length > lineBytesMax ? "http" : "more";
}

/** RFC 9112 section 2.2: empty lines before a request are none of it. */
function skipEmptyLines(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length && (bytes[at] === CR || bytes[at] === LF)) at++;
  return at;
}

const CONNECT = "CONNECT ";
const CR = 0x0d;
const LF = 0x0a;

/**
 * RFC 9112 section 3: method, target, version, between any white space that a lenient recipient takes for
 * the single space; the target is not looked at, whatever is in it.
 */
const REQUEST_LINE =
  /^[ \t\v\f\r]*[!#$%&'*+.^_`|~0-9a-z-]+[ \t\v\f\r].*\bHTTP\/1\.[0-9]+[ \t\v\f\r]*$/is;

/** The beginning of one: a method, or a piece of it, and what is behind it. */
const MAY_BECOME_ONE = /^[ \t\v\f\r]*[!#$%&'*+.^_`|~0-9A-Za-z-]*(?:[ \t\v\f\r]|$)/;
