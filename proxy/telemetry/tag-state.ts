import { CANARY_MEMBER, type TagState } from "../../core/observation.ts";
import { lastMember } from "../routing/baggage.ts";
import { type Carrier, carrierHeader } from "../routing/carrier.ts";
import { type HopMark, readHopMark } from "../routing/hop-mark.ts";
import { type CarrierFields, readTag } from "../routing/tag.ts";

/**
 * Says what became of the tag on a request, from the head as it was received.
 *
 * Before: telemetry/observations.ts. After: routing/tag.ts.
 * Invariant: total on any bytes. Cold: only while control observes.
 */

/** What is to be said of a request's tag; null where it is there and whole. */
export function tagStateOf(
  fields: CarrierFields,
  carriers: readonly Carrier[],
  isTagged: boolean,
): TagState | null {
  return isTagged ? damageOf(fields, carriers) : lossOf(fields, carriers);
}

/** The mark that came along: in `correlation-context` too, where the tag stands there. */
export function readMark(fields: CarrierFields, state: TagState): HopMark | null {
  return readHopMark(state === "correlation-context" ? asBaggage(fields, CORRELATION) : fields);
}

/** What .NET before 10 sends in place of `baggage`. */
const CORRELATION = "correlation-context";

function damageOf(fields: CarrierFields, carriers: readonly Carrier[]): TagState | null {
  const tag = readTag(carriers, fields);
  if (tag.kind === "unreadable") return "unreadable";
  if (tag.ambiguous) return "duplicated";
  const canary = memberOf(fields, "baggage", CANARY_MEMBER);
  if (canary !== null && !/%2c/i.test(canary)) return "percent-decoded";
  return linesOf(fields, "baggage").some((line) => /[ \t]=|=[ \t]/.test(line)) ? "spaces" : null;
}

function lossOf(fields: CarrierFields, carriers: readonly Carrier[]): TagState {
  if (hasTagIn(fields, CORRELATION, carriers)) return CORRELATION;
  const lines = linesOf(fields, "baggage").filter((line) => line !== "");
  if (lines.length === 0) return "absent";
  return lines.some((line) => OURS.test(line)) ? "truncated" : "other-baggage";
}

/** A member of ours, or the beginning of one. */
const OURS = /(?:^|,)[ \t]*forklane-/;

function hasTagIn(fields: CarrierFields, header: string, carriers: readonly Carrier[]): boolean {
  if (fields.find(header, 0) < 0) return false;
  const members = carriers.filter((carrier) => carrierHeader(carrier) === "baggage");
  return readTag(members, asBaggage(fields, header)).kind !== "none";
}

function asBaggage(fields: CarrierFields, header: string): CarrierFields {
  return {
    find: (name, from) => fields.find(name === "baggage" ? header : name, from),
    value: (index) => fields.value(index),
  };
}

function memberOf(fields: CarrierFields, header: string, member: string): string | null {
  const values = linesOf(fields, header).map((line) => lastMember(line, member));
  return values.findLast((value) => value !== null) ?? null;
}

function linesOf(fields: CarrierFields, header: string): string[] {
  const lines: string[] = [];
  for (let i = fields.find(header, 0); i >= 0; i = fields.find(header, i + 1)) {
    lines.push(fields.value(i));
  }
  return lines;
}
