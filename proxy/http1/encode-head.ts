import type { Trailers } from "../message/field-list.ts";
import type { RawHead, RequestHead, ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { STATUS_TEXT } from "./status-text.ts";

/**
 * Writes a head: the bytes as they came, but for what the edit names.
 *
 * Before: exchange/forwarded-head.ts. After: the socket.
 * Invariant: kept lines are byte for byte what was received, in order and case.
 * Hot path: runs of kept lines are copied whole; a head without edits is not copied at all.
 */
export function encodeRequestHead(head: RequestHead, edit: HeadEdit): Buffer {
  const raw = head.raw;
  if (raw?.startLineIsCanonical && edit.isEmpty) {
    return raw.bytes.subarray(raw.start, raw.end);
  }
  const startLine =
    raw?.startLineIsCanonical === true ? "" : `${head.method} ${head.target} HTTP/1.1\r\n`;
  return encode(head, raw, startLine, edit);
}

/** The same for a response. The version is ours (RFC 9110 section 2.5), the reason as received. */
export function encodeResponseHead(head: ResponseHead, edit: HeadEdit): Buffer {
  const raw = head.raw;
  if (raw?.startLineIsCanonical && edit.isEmpty) {
    return raw.bytes.subarray(raw.start, raw.end);
  }
  const startLine = raw?.startLineIsCanonical === true ? "" : statusLine(head, raw);
  return encode(head, raw, startLine, edit);
}

/** Writes a trailer section with the last chunk before it (RFC 9112 section 7.1). */
export function encodeLastChunk(trailers: Trailers | null): string {
  return trailers === null ? "0\r\n\r\n" : `0\r\n${encodeLines(trailers)}\r\n`;
}

function statusLine(head: ResponseHead, raw: RawHead | null): string {
  if (raw === null) {
    return `HTTP/1.1 ${head.status} ${STATUS_TEXT[head.status] ?? ""}\r\n`;
  }
  const rest = raw.bytes.toString("latin1", raw.start + 8, raw.fieldsStart - 2);
  return `HTTP/1.1${rest}${rest.length > 4 ? "" : " "}\r\n`;
}

function encode(
  head: RequestHead | ResponseHead,
  raw: RawHead | null,
  startLine: string,
  edit: HeadEdit,
): Buffer {
  if (raw === null) return Buffer.from(`${startLine}${editedLines(head, edit)}\r\n`, "latin1");
  const tail = `${encodeLines(edit.added)}\r\n`;
  let size = startLine.length + (raw.end - raw.start) + tail.length;
  const fields = head.fields;
  for (let i = 0; i < fields.count; i++) {
    if (!edit.isKept(i) && !edit.isDropped(i)) size += edit.value(fields, i).length + 2;
  }
  const out = Buffer.allocUnsafe(size);
  let at = out.write(startLine, 0, "latin1");
  let runStart = startLine === "" ? raw.start : raw.fieldsStart;
  for (let i = 0; i < fields.count; i++) {
    if (edit.isKept(i)) continue;
    at += raw.bytes.copy(out, at, runStart, raw.lineStart(i));
    runStart = raw.lineStart(i + 1);
    if (!edit.isDropped(i)) {
      at += out.write(`${fields.name(i)}: ${edit.value(fields, i)}\r\n`, at, "latin1");
    }
  }
  at += raw.bytes.copy(out, at, runStart, raw.lineStart(fields.count));
  at += out.write(tail, at, "latin1");
  return out.subarray(0, at);
}

function editedLines(head: RequestHead | ResponseHead, edit: HeadEdit): string {
  const fields = head.fields;
  let lines = "";
  for (let i = 0; i < fields.count; i++) {
    if (!edit.isDropped(i)) lines += `${fields.name(i)}: ${edit.value(fields, i)}\r\n`;
  }
  return lines + encodeLines(edit.added);
}

function encodeLines(pairs: readonly string[]): string {
  let lines = "";
  for (let i = 0; i + 1 < pairs.length; i += 2) lines += `${pairs[i]}: ${pairs[i + 1]}\r\n`;
  return lines;
}
