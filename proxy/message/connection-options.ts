import type { FieldList } from "./field-list.ts";
import { FIELD } from "./known-field.ts";

/** Ten options in `Connection` and more are abuse (Envoy's limit). */
export const CONNECTION_OPTIONS_MAX = 9;

/**
 * The options of all `Connection` fields, lower case (RFC 9110 section 7.6.1); empty if none.
 * One option more than CONNECTION_OPTIONS_MAX is kept, so that the caller can tell.
 */
export function connectionOptions(fields: FieldList): readonly string[] {
  return readOptions(fields, CONNECTION_OPTIONS_MAX);
}

/** The same without that limit: as many as fit into a head. */
export function allConnectionOptions(fields: FieldList): readonly string[] {
  return readOptions(fields, Number.POSITIVE_INFINITY);
}

function readOptions(fields: FieldList, optionsMax: number): readonly string[] {
  if ((fields.present & (1 << FIELD.CONNECTION)) === 0) return NO_OPTIONS;
  const first = fields.findKnown(FIELD.CONNECTION, 0);
  const next = fields.findKnown(FIELD.CONNECTION, first + 1);
  if (next < 0 && fields.isValue(first, "keep-alive")) return KEEP_ALIVE_ONLY;
  if (next < 0 && fields.isValue(first, "close")) return CLOSE_ONLY;
  const options: string[] = [];
  for (let i = first; i >= 0; i = fields.findKnown(FIELD.CONNECTION, i + 1)) {
    for (const piece of fields.value(i).split(",")) {
      const option = withoutSpace(piece).toLowerCase();
      if (option === "") continue;
      options.push(option);
      if (options.length > optionsMax) return options;
    }
  }
  return options;
}

/** Without space and tab at its ends (RFC 9110 section 5.6.3); trim() would take obs-text such as 0xA0 too. */
function withoutSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** What nearly all say: nothing is made for them. */
const KEEP_ALIVE_ONLY: readonly string[] = ["keep-alive"];
const CLOSE_ONLY: readonly string[] = ["close"];
const NO_OPTIONS: readonly string[] = [];

/** Whether they name fields, and not only how the connection goes on. */
export function nominatesFields(options: readonly string[]): boolean {
  return options.length > 0 && options !== KEEP_ALIVE_ONLY && options !== CLOSE_ONLY;
}
