import type { FaultCode } from "../fault.ts";
import { knownValue } from "../message/field-list.ts";
import { BODY_UNSIZED } from "../message/head.ts";
import { FIELD } from "../message/known-field.ts";
import { HOST } from "./bytes.ts";
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
  if (isMethod(head, CONNECT)) return "method-unsupported";
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
  if (head.isChunked && head.minorVersion === 0) return "upstream-malformed";
  const status = head.status;
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
  if (occurrences(head, FIELD.TRANSFER_ENCODING) > 1) return "framing-ambiguous";
  const value = knownValue(head, FIELD.TRANSFER_ENCODING) ?? "";
  if (value.toLowerCase() !== "chunked") return "transfer-coding-unsupported";
  declareBody(head, BODY_UNSIZED, true);
  return null;
}

/** Digits of the largest length that a number holds exactly (2^53 - 1). */
const LENGTH_DIGITS_MAX = 16;

/** `1*DIGIT`, once. A list of equal lengths is refused too, although it could be accepted. */
function readContentLength(head: Http1Head): FaultCode | null {
  if (occurrences(head, FIELD.CONTENT_LENGTH) > 1) return "framing-ambiguous";
  const value = knownValue(head, FIELD.CONTENT_LENGTH) ?? "";
  if (value.length === 0 || value.length > LENGTH_DIGITS_MAX) return "framing-ambiguous";
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return "framing-ambiguous";
    length = length * 10 + digit;
  }
  if (length > Number.MAX_SAFE_INTEGER) return "framing-ambiguous";
  declareBody(head, length, false);
  return null;
}

function occurrences(head: Http1Head, id: number): number {
  let found = 0;
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] === id) found++;
  }
  return found;
}

/** Origin-form, absolute-form that agrees with Host, or `*` with OPTIONS (RFC 9112 section 3.2). */
function checkTarget(head: Http1RequestHead): FaultCode | null {
  const hosts = occurrences(head, FIELD.HOST);
  if (hosts > 1 || (hosts === 0 && head.minorVersion === 1)) return "host-invalid";
  const host = knownValue(head, FIELD.HOST);
  if (host !== null && !isHost(host)) return "host-invalid";
  const first = head.bytes[head.targetStart];
  if (first === SLASH) return null;
  if (first === ASTERISK && head.targetEnd === head.targetStart + 1) {
    return isMethod(head, OPTIONS) ? null : "head-malformed";
  }
  return checkAbsoluteForm(head, host);
}

const SLASH = 0x2f;
const ASTERISK = 0x2a;
const CONNECT = Buffer.from("CONNECT", "latin1");
const OPTIONS = Buffer.from("OPTIONS", "latin1");
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)/i;

/** Absolute-form is passed on in origin-form, so its authority has to be the one in Host. */
function checkAbsoluteForm(head: Http1RequestHead, host: string | null): FaultCode | null {
  const target = head.bytes.toString("latin1", head.targetStart, head.targetEnd);
  const match = ABSOLUTE_FORM.exec(target);
  if (match === null) return "head-malformed";
  const authority = match[1] ?? "";
  if (!isHost(authority)) return "host-invalid";
  if (host === null || authority.toLowerCase() !== host.toLowerCase()) return "host-invalid";
  head.pathStart = head.targetStart + match[0].length;
  head.startLineIsCanonical = false;
  return null;
}

/** Tells whether `text` is a host with an optional port (RFC 3986 section 3.2), without user. */
function isHost(text: string): boolean {
  const match = HOST_PARTS.exec(text);
  if (match === null) return false;
  const [, address, name, port] = match;
  if (port !== undefined && Number(port) > 65535) return false;
  if (address !== undefined) return true;
  for (let i = 0; i < (name ?? "").length; i++) {
    if (HOST[(name ?? "").charCodeAt(i)] !== 1) return false;
  }
  return true;
}

const HOST_PARTS = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([^:[\]]{1,255}))(?::([0-9]{1,5}))?$/;

function isMethod(head: Http1RequestHead, method: Buffer): boolean {
  if (head.methodEnd - head.start !== method.length) return false;
  for (let i = 0; i < method.length; i++) {
    if (head.bytes[head.start + i] !== method[i]) return false;
  }
  return true;
}
