import type { FaultCode } from "../fault.ts";
import type { FieldList } from "../message/field-list.ts";
import type { HeadEdit } from "../message/head-edit.ts";

/**
 * THE RULE FOR UNDERSCORES: `bag_gage` is never `baggage` to us, but a service behind CGI variables
 * reads both names as one. So they are forwarded as any other field, dropped, or the request is
 * rejected, as --underscore-fields says.
 *
 * Before: exchange/exchange.ts. After: upstream/pool.ts.
 * Invariant: drop and reject leave no such name in the head, nor among the trailers (exchange/forwarded-trailers.ts).
 * Hot path: `forward`, the default, looks at nothing.
 */
export type UnderscoreRule = "forward" | "drop" | "reject";

export function applyUnderscoreRule(
  rule: UnderscoreRule,
  fields: FieldList,
  edit: HeadEdit,
): FaultCode | null {
  if (rule === "forward") return null;
  for (let i = 0; i < fields.count; i++) {
    if (!fields.name(i).includes("_")) continue;
    if (rule === "reject") return "field-underscored";
    edit.drop(i);
  }
  return null;
}
