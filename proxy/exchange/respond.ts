import { FAULTS, type FaultCode } from "../fault.ts";
import { MadeFields } from "../message/field-list.ts";
import type { ResponseHead } from "../message/head.ts";

/** An answer that the proxy makes itself. */
export interface Answer {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/**
 * Turns a fault into a response, with the status that the fault table says.
 *
 * Before: exchange/exchange.ts. After: the downstream connection.
 * Invariant: such an answer is recognizable (`forklane-fault`) and never cached. `by` is the
 * workload whose proxy answers; `extra` are further fields as pairs; `toHop` is the hop of the request
 * that is answered, where it matters which.
 */
export function answer(
  code: FaultCode,
  by: string,
  isHeadRequest: boolean,
  extra: readonly string[],
  toHop: string | null = null,
): Answer {
  const { status, meaning } = FAULTS[code];
  const body = Buffer.from(`forklane: ${code} at ${by}: ${meaning}\n`, "latin1");
  const fields = new MadeFields([
    "forklane-fault",
    toHop === null ? `${code}; by=${by}` : `${code}; by=${by}; hop=${toHop}`,
    "cache-control",
    "no-store",
    "content-type",
    "text/plain; charset=utf-8",
    "content-length",
    String(body.length),
    ...extra,
  ]);
  const head = { status, fields, hasBody: !isHeadRequest, bodyBytes: body.length, raw: null };
  return { head, body };
}
