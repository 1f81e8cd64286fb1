import { isIPv6 } from "node:net";
import type { FaultCode } from "../fault.ts";
import { BODY_UNSIZED } from "../message/head.ts";
import { FIELD } from "../message/known-field.ts";
import { COLON, HOST, SP } from "./bytes.ts";
import {
  declareBody,
  type Http1Head,
  type Http1RequestHead,
  type Http1ResponseHead,
} from "./head.ts";

/**
 * Finds where a message body ends, and whom a request addresses (RFC 9112 sections 3.2 and 6.3).
 *
 * Before: http1/parse-head.ts. After: http1/decode-body.ts.
 * Invariant: a message with two lengths, or a length and chunks, is refused, not interpreted.
 * Hot path: once per message; allocates nothing unless a known field is there.
 */
export function frameRequest(head: Http1RequestHead): FaultCode | null {
  if (head.isMethod("CONNECT")) return "method-unsupported";
  const target = checkTarget(head);
  if (target !== null) return target;
  const framing = readFraming(head);
  if (framing !== null) return framing;
  // RFC 9112 section 6.1: a server or proxy must not believe a transfer coding in HTTP/1.0.
  if (head.isChunked && head.minorVersion === 0) return "framing-ambiguous";
  if (!head.isChunked && head.bodyBytes === BODY_UNSIZED) declareBody(head, 0, false);
  return null;
}

/** The same for a response to a request with this method (RFC 9112 section 6.3, rules 1 to 8). */
export function frameResponse(head: Http1ResponseHead, isHeadRequest: boolean): FaultCode | null {
  const framing = readFraming(head);
  if (framing !== null) return "upstream-malformed";
  const { status, minorVersion } = head;
  // RFC 9110 section 15.2: HTTP/1.0 has no interim responses.
  if (minorVersion === 0 && (head.isChunked || status < 200)) return "upstream-malformed";
  if (isHeadRequest || status < 200 || status === 204 || status === 304) {
    head.hasBody = false;
  } else if (!head.isChunked && head.bodyBytes === BODY_UNSIZED) {
    head.hasBody = true;
  }
  return null;
}

function readFraming(head: Http1Head): FaultCode | null {
  const hasLength = (head.present & (1 << FIELD.CONTENT_LENGTH)) !== 0;
  const hasCoding = (head.present & (1 << FIELD.TRANSFER_ENCODING)) !== 0;
  if (hasLength && hasCoding) return "framing-ambiguous";
  if (hasCoding) return readTransferCoding(head);
  if (hasLength) return readContentLength(head);
  declareBody(head, BODY_UNSIZED, false);
  return null;
}

/** Only `chunked`, alone and once: any other coding would have to be understood to be passed on. */
function readTransferCoding(head: Http1Head): FaultCode | null {
  if (isRepeated(head, FIELD.TRANSFER_ENCODING)) return "framing-ambiguous";
  const at = head.findKnown(FIELD.TRANSFER_ENCODING, 0);
  if (!head.isValue(at, "chunked")) return "transfer-coding-unsupported";
  head.framingIsPlain = isPlainLine(head, at * 4) && isPlainCoding(head, at * 4);
  declareBody(head, BODY_UNSIZED, true);
  return null;
}

/** Digits of the largest length that a number holds exactly (2^53 - 1). */
const LENGTH_DIGITS_MAX = 16;

/** `1*DIGIT`, once. A list of equal lengths is refused too, although it could be accepted. */
function readContentLength(head: Http1Head): FaultCode | null {
  if (isRepeated(head, FIELD.CONTENT_LENGTH)) return "framing-ambiguous";
  const at = head.findKnown(FIELD.CONTENT_LENGTH, 0) * 4;
  const start = head.offsets[at + 2] as number;
  const end = head.offsets[at + 3] as number;
  if (start === end || end - start > LENGTH_DIGITS_MAX) return "framing-ambiguous";
  let length = 0;
  for (let i = start; i < end; i++) {
    const digit = (head.bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return "framing-ambiguous";
    length = length * 10 + digit;
  }
  if (length > Number.MAX_SAFE_INTEGER) return "framing-ambiguous";
  const hasLeadingZero = end - start > 1 && head.bytes[start] === ZERO;
  head.framingIsPlain = !hasLeadingZero && isPlainLine(head, at);
  declareBody(head, length, false);
  return null;
}

const ZERO = 0x30;

/** Whether at most one space stands before the value, and nothing behind it; `at`: its offsets. */
function isPlainLine({ bytes, offsets }: Http1Head, at: number): boolean {
  const start = offsets[at + 2] as number;
  const gap = start - (offsets[at + 1] as number);
  const isSpaced = gap === 1 || (gap === 2 && bytes[start - 1] === SP);
  return isSpaced && (offsets[at + 4] as number) - (offsets[at + 3] as number) === 2;
}

/** Whether a value that is `chunked` in any case is so in lower case. */
function isPlainCoding({ bytes, offsets }: Http1Head, at: number): boolean {
  for (let i = offsets[at + 2] as number; i < (offsets[at + 3] as number); i++) {
    if ((bytes[i] as number) < LOWER_A) return false;
  }
  return true;
}

const LOWER_A = 0x61;

function isRepeated(head: Http1Head, id: number): boolean {
  return (head.repeated & (1 << id)) !== 0;
}

/** Origin-form, absolute-form that agrees with Host, or `*` with OPTIONS (RFC 9112 section 3.2). */
function checkTarget(head: Http1RequestHead): FaultCode | null {
  const hostAt = head.findKnown(FIELD.HOST, 0);
  if (isRepeated(head, FIELD.HOST) || (hostAt < 0 && head.minorVersion === 1)) {
    return "host-invalid";
  }
  if (hostAt >= 0 && !isHostValue(head, hostAt)) return "host-invalid";
  const first = head.bytes[head.targetStart];
  if (first === SLASH) return null;
  if (first === ASTERISK && head.targetEnd === head.targetStart + 1) {
    return head.isMethod("OPTIONS") ? null : "head-malformed";
  }
  return checkAbsoluteForm(head, hostAt);
}

const SLASH = 0x2f;
const ASTERISK = 0x2a;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)/i;

/** Absolute-form is passed on in origin-form, so its authority has to be the one in Host. */
function checkAbsoluteForm(head: Http1RequestHead, hostAt: number): FaultCode | null {
  const target = head.bytes.toString("latin1", head.targetStart, head.targetEnd);
  const match = ABSOLUTE_FORM.exec(target);
  if (match === null) return "head-malformed";
  const authority = match[1] ?? "";
  const end = head.targetStart + match[0].length;
  if (!isHost(head.bytes, end - authority.length, end)) return "host-invalid";
  // HTTP/1.0 knows no Host: there the target alone says it.
  if (hostAt >= 0 && !head.isValue(hostAt, authority.toLowerCase())) return "host-invalid";
  head.pathStart = end;
  head.startLineIsCanonical = false;
  return null;
}

function isHostValue(head: Http1RequestHead, index: number): boolean {
  const at = index * 4;
  return isHost(head.bytes, head.offsets[at + 2] as number, head.offsets[at + 3] as number);
}

/** Tells whether bytes are a host with an optional port (RFC 3986 section 3.2), without user. */
function isHost(bytes: Buffer, start: number, end: number): boolean {
  const hostEnd =
    bytes[start] === OPENING ? addressEnd(bytes, start, end) : nameEnd(bytes, start, end);
  if (hostEnd < 0 || hostEnd === end) return hostEnd >= 0;
  return bytes[hostEnd] === COLON && isPort(bytes, hostEnd + 1, end);
}

const OPENING = 0x5b;
const CLOSING = 0x5d;
const NAME_BYTES_MAX = 255;
const ADDRESS_BYTES_MAX = 45;

/** Behind a name or an IPv4 address; -1 if there is none. */
function nameEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && HOST[bytes[at] as number] === 1) at++;
  return at === start || at - start > NAME_BYTES_MAX ? -1 : at;
}

/** Behind the closing bracket of an IPv6 address without a zone (RFC 3986 section 3.2.2); -1 if it is none. */
function addressEnd(bytes: Buffer, start: number, end: number): number {
  const closing = bytes.indexOf(CLOSING, start);
  if (closing < 0 || closing >= end || closing - start - 1 > ADDRESS_BYTES_MAX) return -1;
  const address = bytes.toString("latin1", start + 1, closing);
  return isIPv6(address) && !address.includes("%") ? closing + 1 : -1;
}

const PORT_DIGITS_MAX = 5;

function isPort(bytes: Buffer, start: number, end: number): boolean {
  if (start === end || end - start > PORT_DIGITS_MAX) return false;
  let port = 0;
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65_535;
}
