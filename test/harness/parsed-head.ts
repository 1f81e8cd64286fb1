import { FAULTS, type FaultCode } from "../../proxy/fault.ts";
import { encodeRequestHead, encodeResponseHead } from "../../proxy/http1/encode-head.ts";
import { frameRequest, frameResponse } from "../../proxy/http1/framing.ts";
import { type Http1Head, Http1RequestHead, Http1ResponseHead } from "../../proxy/http1/head.ts";
import {
  type HeadReader,
  requestHeadReader,
  responseHeadReader,
} from "../../proxy/http1/head-reader.ts";
import { COMPLETE } from "../../proxy/http1/parse-head.ts";
import { Pieces } from "../../proxy/http1/pieces.ts";
import { DEFAULT_LIMITS } from "../../proxy/limits.ts";
import type { RequestHead, ResponseHead } from "../../proxy/message/head.ts";
import type { HeadEdit } from "../../proxy/message/head-edit.ts";

/** Fields that a test's head may have: more than the limit, so that edited heads parse again. */
const FIELDS_MAX = 200;
const LIMITS = { ...DEFAULT_LIMITS, headFieldsMax: FIELDS_MAX };

/** Parses a request head as the data plane does. `lines`: start line and fields, without line ends. */
export function requestHead(lines: readonly string[]): Http1RequestHead {
  const head = parse(requestHeadReader(new Http1RequestHead(), LIMITS), lines);
  check(frameRequest(head));
  return head;
}

/** The same for a response to a GET. */
export function responseHead(lines: readonly string[]): Http1ResponseHead {
  const head = parse(responseHeadReader(new Http1ResponseHead(), LIMITS), lines);
  check(frameResponse(head, false));
  return head;
}

/** A GET with these fields, behind a Host. */
export function getWith(...fields: string[]): Http1RequestHead {
  return requestHead(["GET / HTTP/1.1", "Host: shop.test", ...fields]);
}

/** The lines that go upstream, without line ends; the empty one is left out. */
export function sentRequest(head: RequestHead, edit: HeadEdit): readonly string[] {
  const pieces = new Pieces();
  encodeRequestHead(head, edit, pieces);
  return linesOf(pieces);
}

/** The lines that go downstream. */
export function sentResponse(head: ResponseHead, edit: HeadEdit): readonly string[] {
  const pieces = new Pieces();
  encodeResponseHead(head, edit, pieces);
  return linesOf(pieces);
}

function linesOf(pieces: Pieces): readonly string[] {
  return pieces.joined().toString("latin1").split("\r\n").slice(0, -2);
}

function parse<H extends Http1Head>(reader: HeadReader<H>, lines: readonly string[]): H {
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const outcome = reader.read(bytes, 0, bytes.length);
  if (outcome !== COMPLETE) throw new Error(`not a head (${outcome}): ${lines.join("\n")}`);
  return reader.head;
}

function check(fault: FaultCode | null): void {
  if (fault !== null) throw new Error(`${fault}: ${FAULTS[fault].meaning}`);
}
