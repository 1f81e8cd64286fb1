import type { FieldList } from "../message/field-list.ts";
import type { HeadEdit } from "../message/head-edit.ts";

/**
 * Tells the service who called: REDIRECT leaves the proxy the caller's address, and the service sees
 * the proxy's.
 *
 * Before: exchange/exchange.ts. After: exchange/forwarded-head.ts.
 * Invariant: what callers before have written stays in front of what we know; how far to believe
 * them is for the service to say.
 * Hot path, where it is asked for.
 */
export function appendForwardedFor(fields: FieldList, edit: HeadEdit, address: string): void {
  const caller = address.startsWith("::ffff:") ? address.slice(7) : address;
  let last = -1;
  for (let i = fields.find(NAME, 0); i >= 0; i = fields.find(NAME, i + 1)) {
    if (!edit.isDropped(i)) last = i;
  }
  if (last < 0) edit.add(NAME, caller);
  else {
    const before = edit.value(fields, last);
    edit.replace(last, before === "" ? caller : `${before}, ${caller}`);
  }
}

const NAME = "x-forwarded-for";
