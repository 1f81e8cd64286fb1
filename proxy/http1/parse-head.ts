import type { FaultCode } from "../fault.ts";
import type { Limits } from "../limits.ts";
import { knownField } from "../message/known-field.ts";
import { COLON, CR, FIELD_VALUE, HTAB, LF, SP, TARGET, TOKEN } from "./bytes.ts";
import {
  type Http1Head,
  type Http1RequestHead,
  type Http1ResponseHead,
  resetHead,
} from "./head.ts";

/**
 * Turns the bytes of a head into offsets (RFC 9112 sections 2 to 5).
 *
 * Before: downstream/http1-connection.ts or upstream/http1-connection.ts. After: http1/framing.ts.
 * Invariant: refuses, never repairs: bare CR or LF, obs-fold, white space before a colon, control
 * bytes, an unknown version. What is accepted, every strict parser reads in the same way.
 * Hot path: each byte is scanned for line ends once, and parsed once, also when the head arrives in
 * pieces; nothing allocated.
 */
export const INCOMPLETE = 0;
export const COMPLETE = 1;
export type ParseOutcome = typeof INCOMPLETE | typeof COMPLETE | FaultCode;

/** Where parsing a head has got to; kept between the pieces of one head. */
export class HeadProgress {
  /** Start of the first line that is not parsed yet. */
  lineStart = 0;
  /** Bytes of that line already looked at. */
  scanned = 0;
  startLineDone = false;
  emptyLineSeen = false;

  reset(start: number): void {
    this.lineStart = start;
    this.scanned = 0;
    this.startLineDone = false;
    this.emptyLineSeen = false;
  }
}

/**
 * Parses as much of a request head as `bytes` holds from `progress` to `end`.
 * COMPLETE: `head.end` is the first byte of the body. The head is at most `limits.headBytesMax`.
 */
export function parseRequestHead(
  bytes: Buffer,
  end: number,
  head: Http1RequestHead,
  progress: HeadProgress,
  limits: Limits,
): ParseOutcome {
  return parseHead(bytes, end, head, progress, limits, parseRequestLine, true);
}

/** The same for a response head. */
export function parseResponseHead(
  bytes: Buffer,
  end: number,
  head: Http1ResponseHead,
  progress: HeadProgress,
  limits: Limits,
): ParseOutcome {
  return parseHead(bytes, end, head, progress, limits, parseStatusLine, false);
}

type ParseStartLine<H> = (bytes: Buffer, start: number, end: number, head: H) => ParseOutcome;

function parseHead<H extends Http1Head>(
  bytes: Buffer,
  end: number,
  head: H,
  progress: HeadProgress,
  limits: Limits,
  parseStartLine: ParseStartLine<H>,
  mayBeginEmpty: boolean,
): ParseOutcome {
  if (!progress.startLineDone && progress.scanned === 0 && !progress.emptyLineSeen) {
    resetHead(head);
    head.start = progress.lineStart;
  }
  head.bytes = bytes;
  for (;;) {
    const start = progress.lineStart;
    const lineEnd = findLineEnd(bytes, start + progress.scanned, end);
    // The line feed counts, also the one that has yet to come.
    const lineBytes = (lineEnd < 0 ? end : lineEnd) + 1 - start;
    if (!progress.startLineDone && lineBytes > limits.requestLineBytesMax) return "target-too-long";
    if (start + lineBytes - head.start > limits.headBytesMax) return "head-too-large";
    if (lineEnd < 0) {
      progress.scanned = end - start;
      return INCOMPLETE;
    }
    if (lineEnd === start || bytes[lineEnd - 1] !== CR) return "head-malformed";
    progress.lineStart = lineEnd + 1;
    progress.scanned = 0;
    const isEmptyFirst = lineEnd === start + 1 && !progress.startLineDone;
    if (isEmptyFirst && mayBeginEmpty && !progress.emptyLineSeen) {
      // RFC 9112 section 2.2: one empty line before a request is ignored.
      progress.emptyLineSeen = true;
      head.start = progress.lineStart;
      continue;
    }
    const outcome = progress.startLineDone
      ? parseFieldLine(bytes, start, lineEnd - 1, head, limits.headFieldsMax)
      : parseStartLine(bytes, start, lineEnd - 1, head);
    if (outcome === COMPLETE && progress.startLineDone) {
      head.offsets[head.count * 4] = start;
      head.end = lineEnd + 1;
      return COMPLETE;
    }
    if (typeof outcome === "string") return outcome;
    if (!progress.startLineDone) {
      progress.startLineDone = true;
      head.fieldsStart = lineEnd + 1;
    }
  }
}

function findLineEnd(bytes: Buffer, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    if (bytes[i] === LF) return i;
  }
  return -1;
}

/** `method SP request-target SP HTTP-version` (RFC 9112 section 3); `end` is before CR LF. */
function parseRequestLine(
  bytes: Buffer,
  start: number,
  end: number,
  head: Http1RequestHead,
): ParseOutcome {
  let at = start;
  while (at < end && TOKEN[bytes[at] as number] === 1) at++;
  if (at === start || bytes[at] !== SP) return "head-malformed";
  head.methodEnd = at;
  head.targetStart = ++at;
  while (at < end && TARGET[bytes[at] as number] === 1) at++;
  if (at === head.targetStart || bytes[at] !== SP) return "head-malformed";
  head.targetEnd = at;
  const version = parseVersion(bytes, at + 1, end);
  if (typeof version === "string") return version;
  if (end !== at + 9) return "head-malformed";
  head.minorVersion = version;
  head.pathStart = head.targetStart;
  head.startLineIsCanonical = version === 1;
  return COMPLETE;
}

/** `HTTP-version SP status-code [SP reason-phrase]` (RFC 9112 section 4); `end` is before CR LF. */
function parseStatusLine(
  bytes: Buffer,
  start: number,
  end: number,
  head: Http1ResponseHead,
): ParseOutcome {
  const version = parseVersion(bytes, start, end);
  if (typeof version === "string") return "head-malformed";
  if (bytes[start + 8] !== SP || end < start + 12) return "head-malformed";
  let status = 0;
  for (let i = start + 9; i < start + 12; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return "head-malformed";
    status = status * 10 + digit;
  }
  if (status < 100) return "head-malformed";
  if (end > start + 12 && bytes[start + 12] !== SP) return "head-malformed";
  for (let i = start + 13; i < end; i++) {
    if (FIELD_VALUE[bytes[i] as number] === 0) return "head-malformed";
  }
  head.status = status;
  head.minorVersion = version;
  head.startLineIsCanonical = version === 1 && end > start + 12;
  return COMPLETE;
}

/** `HTTP/1.1` is 1, `HTTP/1.0` is 0; a well-formed other version is its own fault. */
function parseVersion(bytes: Buffer, start: number, end: number): number | FaultCode {
  if (end < start + 8) return "head-malformed";
  for (let i = 0; i < 5; i++) {
    if (bytes[start + i] !== HTTP_SLASH[i]) return "head-malformed";
  }
  const major = (bytes[start + 5] as number) - 0x30;
  const minor = (bytes[start + 7] as number) - 0x30;
  if (bytes[start + 6] !== 0x2e || major < 0 || major > 9 || minor < 0 || minor > 9) {
    return "head-malformed";
  }
  return major === 1 && minor <= 1 ? minor : "version-unsupported";
}

const HTTP_SLASH = Buffer.from("HTTP/", "latin1");

/** `field-name ":" OWS field-value OWS` (RFC 9112 section 5), or the empty line: COMPLETE. */
export function parseFieldLine(
  bytes: Buffer,
  start: number,
  end: number,
  head: Http1Head,
  fieldsMax: number,
): ParseOutcome {
  if (start === end) return COMPLETE;
  let at = start;
  while (at < end && TOKEN[bytes[at] as number] === 1) at++;
  if (at === start || bytes[at] !== COLON || at === end) return "head-malformed";
  const nameEnd = at++;
  while (at < end && isBlank(bytes[at])) at++;
  let valueEnd = end;
  while (valueEnd > at && isBlank(bytes[valueEnd - 1])) valueEnd--;
  for (let i = at; i < valueEnd; i++) {
    if (FIELD_VALUE[bytes[i] as number] === 0) return "head-malformed";
  }
  if (head.count === fieldsMax) return "head-too-large";
  if (head.count === head.ids.length) head.makeRoom();
  const offset = head.count * 4;
  head.offsets[offset] = start;
  head.offsets[offset + 1] = nameEnd;
  head.offsets[offset + 2] = at;
  head.offsets[offset + 3] = valueEnd;
  const id = knownField(bytes, start, nameEnd);
  head.ids[head.count] = id;
  const bit = 1 << id;
  head.repeated |= head.present & bit;
  head.present |= bit;
  head.count++;
  return INCOMPLETE;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB;
}
