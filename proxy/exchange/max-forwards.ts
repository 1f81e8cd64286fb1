import type { FaultCode } from "../fault.ts";
import type { RequestHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";

/**
 * Counts Max-Forwards down, and ends the walk of an OPTIONS or TRACE at 0 (RFC 9110 section 7.6.2).
 *
 * Before: exchange/exchange.ts. After: upstream/pool.ts.
 * Invariant: for other methods, and where it is no number, the field passes unchanged.
 * Hot path: a request without the field costs a look at one number.
 */
export function countForward(head: RequestHead, edit: HeadEdit): FaultCode | null {
  const { fields } = head;
  if ((fields.present & (1 << FIELD.MAX_FORWARDS)) === 0) return null;
  if (head.method !== "OPTIONS" && head.method !== "TRACE") return null;
  for (let i = fields.find(NAME, 0); i >= 0; i = fields.find(NAME, i + 1)) {
    const value = fields.value(i);
    if (!COUNT.test(value)) continue;
    if (Number(value) === 0) return "forwards-used-up";
    edit.replace(i, String(Math.min(Number(value) - 1, FORWARDS_MAX)));
  }
  return null;
}

const NAME = "max-forwards";
const COUNT = /^[0-9]+$/;

/** A larger count becomes this one: RFC 9110 section 7.6.2 lets a recipient have a maximum. */
const FORWARDS_MAX = 9_999_999_999;
