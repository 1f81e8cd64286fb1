import type { FieldList, Trailers } from "../message/field-list.ts";
import type { RawHead, RequestHead, ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import type { Pieces } from "./pieces.ts";
import { STATUS_TEXT } from "./status-text.ts";

/**
 * Writes a head: the bytes as they came, but for what the edit names.
 *
 * Before: exchange/forwarded-head.ts. After: http1/message-writer.ts.
 * Invariant: kept lines are byte for byte what was received, in order and case.
 * Hot path: runs of kept lines are one piece each; a head without edits is a single one.
 */
export function encodeRequestHead(head: RequestHead, edit: HeadEdit, out: Pieces): void {
  const raw = head.raw;
  if (raw?.framingIsPlain === false) plainFraming(head, edit);
  if (raw?.startLineIsCanonical !== true) out.text(`${head.method} ${head.target} HTTP/1.1\r\n`);
  encodeFields(head, raw, edit, out);
}

/** The same for a response. The version is ours (RFC 9110 section 2.5), the reason as received. */
export function encodeResponseHead(head: ResponseHead, edit: HeadEdit, out: Pieces): void {
  const raw = head.raw;
  if (raw?.framingIsPlain === false) plainFraming(head, edit);
  if (raw?.startLineIsCanonical !== true) out.text(statusLine(head, raw));
  encodeFields(head, raw, edit, out);
}

/** Writes a trailer section with the last chunk before it (RFC 9112 section 7.1). */
export function encodeLastChunk(trailers: Trailers | null): string {
  return trailers === null ? "0\r\n\r\n" : `0\r\n${encodeLines(trailers)}\r\n`;
}

/**
 * Writes the length, or `chunked`, as everybody does: not every recipient trims a tab, reads 010 as
 * ten, or knows that `Chunked` is the same coding, and one that does not finds another end.
 */
function plainFraming({ fields, bodyBytes }: RequestHead | ResponseHead, edit: HeadEdit): void {
  for (let i = 0; i < fields.count; i++) {
    if (!edit.isKept(i)) continue;
    if (fields.id(i) === FIELD.TRANSFER_ENCODING) edit.replace(i, "chunked");
    else if (fields.id(i) === FIELD.CONTENT_LENGTH) edit.replace(i, String(bodyBytes));
  }
}

function statusLine(head: ResponseHead, raw: RawHead | null): string {
  if (raw === null) {
    return `HTTP/1.1 ${head.status} ${STATUS_TEXT[head.status] ?? ""}\r\n`;
  }
  const rest = raw.bytes.toString("latin1", raw.start + 8, raw.fieldsStart - 2);
  return `HTTP/1.1${rest}${rest.length > 4 ? "" : " "}\r\n`;
}

function encodeFields(
  head: RequestHead | ResponseHead,
  raw: RawHead | null,
  edit: HeadEdit,
  out: Pieces,
): void {
  if (raw === null) out.text(`${editedLines(head, edit)}\r\n`);
  else if (edit.isEmpty) out.range(raw.bytes, linesStart(raw), raw.end);
  else encodeEdited(head.fields, raw, edit, out);
}

function linesStart(raw: RawHead): number {
  return raw.startLineIsCanonical ? raw.start : raw.fieldsStart;
}

function encodeEdited(fields: FieldList, raw: RawHead, edit: HeadEdit, out: Pieces): void {
  let runStart = linesStart(raw);
  for (let i = 0; i < fields.count; i++) {
    if (edit.isKept(i)) continue;
    const splice = edit.spliceOf(i);
    if (splice !== undefined) {
      const valueStart = raw.valueStart(i);
      addRun(raw, runStart, valueStart + splice.from, out);
      out.range(splice.bytes, splice.start, splice.end);
      runStart = valueStart + splice.to;
      continue;
    }
    addRun(raw, runStart, raw.lineStart(i), out);
    runStart = raw.lineStart(i + 1);
    if (!edit.isDropped(i)) addLine(fields.name(i), edit.value(fields, i), out);
  }
  if (edit.addedCount === 0) {
    out.range(raw.bytes, runStart, raw.end);
    return;
  }
  addRun(raw, runStart, raw.lineStart(fields.count), out);
  for (let i = 0; i < edit.addedCount; i++) {
    const { name, value, bytes, start, end } = edit.addedLine(i);
    if (bytes.length === 0) addLine(name, value ?? "", out);
    else out.range(bytes, start, end);
  }
  out.text("\r\n");
}

/** In pieces: to make one string of them costs more than to write each. */
function addLine(name: string, value: string, out: Pieces): void {
  out.text(name);
  out.text(": ");
  out.text(value);
  out.text("\r\n");
}

function addRun(raw: RawHead, start: number, end: number, out: Pieces): void {
  if (start < end) out.range(raw.bytes, start, end);
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
