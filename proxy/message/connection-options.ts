import { type FieldList, knownValue } from "./field-list.ts";
import { FIELD } from "./known-field.ts";

/** More options than this in `Connection` is abuse (Envoy's limit). */
export const CONNECTION_OPTIONS_MAX = 10;

/**
 * The options of all `Connection` fields, lower case (RFC 9110 section 7.6.1); empty if none.
 * One option more than CONNECTION_OPTIONS_MAX is kept, so that the caller can tell.
 */
export function connectionOptions(fields: FieldList): readonly string[] {
  if ((fields.present & (1 << FIELD.CONNECTION)) === 0) return NO_OPTIONS;
  const first = knownValue(fields, FIELD.CONNECTION) ?? "";
  if (first.length === KEEP_ALIVE.length && first.toLowerCase() === KEEP_ALIVE) {
    if (fields.find("connection", fields.find("connection", 0) + 1) < 0) return KEEP_ALIVE_ONLY;
  }
  const options: string[] = [];
  for (let i = fields.find("connection", 0); i >= 0; i = fields.find("connection", i + 1)) {
    for (const piece of fields.value(i).split(",")) {
      const option = piece.trim().toLowerCase();
      if (option === "") continue;
      options.push(option);
      if (options.length > CONNECTION_OPTIONS_MAX) return options;
    }
  }
  return options;
}

const KEEP_ALIVE = "keep-alive";
const KEEP_ALIVE_ONLY: readonly string[] = [KEEP_ALIVE];
const NO_OPTIONS: readonly string[] = [];
