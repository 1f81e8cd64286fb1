import type { FaultCode } from "../fault.ts";
import type { FieldList, Trailers } from "../message/field-list.ts";
import type { HeadEdit } from "../message/head-edit.ts";

/**
 * THE RULE FOR UNDERSCORES: `bag_gage` is never `baggage` to us, but a service behind CGI variables
 * reads both names as one. So they are forwarded as any other field, dropped, or the request is
 * rejected, as --underscore-fields says.
 *
 * Before: exchange/exchange.ts. After: upstream/pool.ts.
 * Invariant: drop and reject leave no such name, neither in the head nor among the trailers.
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

/**
 * The trailers that may go up: without carriers, which are read from heads only, and by the rule.
 * Trailers may be dropped at any time (RFC 9110 section 6.5.1), so none of them is a reason to fail.
 */
export function forwardTrailers(
  trailers: Trailers,
  rule: UnderscoreRule,
  carrierNames: readonly string[],
): Trailers | null {
  const kept: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const name = trailers[i] ?? "";
    if (carrierNames.includes(name.toLowerCase())) continue;
    if (rule !== "forward" && name.includes("_")) continue;
    kept.push(name, trailers[i + 1] ?? "");
  }
  return kept.length === 0 ? null : kept;
}
