import { connectionOptions } from "../message/connection-options.ts";
import { knownValue } from "../message/field-list.ts";
import type { RequestHead, ResponseHead } from "../message/head.ts";
import { FIELD } from "../message/known-field.ts";

/**
 * Tells whether a request asks to leave HTTP for a protocol that we let through: `websocket`.
 *
 * Before: exchange/exchange.ts. After: tunnel/tunnel.ts, once the upstream agreed with 101.
 * Invariant: `h2c` and unknown protocols are never passed on: what follows could not be checked.
 */
export function wantsUpgrade(head: RequestHead): boolean {
  if ((head.fields.present & (1 << FIELD.UPGRADE)) === 0) return false;
  if (head.hasBody || !head.mayUpgrade) return false;
  return namesWebSocket(head) && connectionOptions(head.fields).includes("upgrade");
}

/** Tells whether a 101 response agrees to what was asked (RFC 9110 section 7.8). */
export function agreesToUpgrade(head: ResponseHead): boolean {
  return namesWebSocket(head) && connectionOptions(head.fields).includes("upgrade");
}

function namesWebSocket(head: RequestHead | ResponseHead): boolean {
  const first = head.fields.find("upgrade", 0);
  if (first < 0 || head.fields.find("upgrade", first + 1) >= 0) return false;
  return knownValue(head.fields, FIELD.UPGRADE)?.toLowerCase() === "websocket";
}
