import type { Trailers } from "../message/field-list.ts";
import type { UnderscoreRule } from "./underscore-fields.ts";

/**
 * Takes out of a trailer section what must not be passed on. Trailers may be dropped at any time (RFC 9110
 * section 6.5.1), so none of them is a reason to fail.
 *
 * Before: exchange/exchange.ts. After: the connection that writes the end of the message.
 * Invariants: a field that `Connection` names is removed from the trailers too (RFC 9110 section 7.6.1);
 * tags are read from heads only, so no carrier goes up behind a body.
 * Cold: nearly no message has trailers.
 */
export function forwardRequestTrailers(
  trailers: Trailers,
  options: readonly string[],
  rule: UnderscoreRule,
  carrierNames: readonly string[],
): Trailers | null {
  return without(trailers, (name) => {
    if (options.includes(name) || carrierNames.includes(name)) return true;
    return rule !== "forward" && name.includes("_");
  });
}

/** The same for a response. */
export function forwardResponseTrailers(
  trailers: Trailers,
  options: readonly string[],
): Trailers | null {
  if (options.length === 0) return trailers;
  const named = new Set(options);
  return without(trailers, (name) => named.has(name));
}

/** The trailers but for those whose lower-case name is unwanted; null where none is left. */
function without(trailers: Trailers, isUnwanted: (name: string) => boolean): Trailers | null {
  const kept: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const name = trailers[i] ?? "";
    if (!isUnwanted(name.toLowerCase())) kept.push(name, trailers[i + 1] ?? "");
  }
  return kept.length === 0 ? null : kept;
}
