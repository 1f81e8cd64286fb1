import { NO_HOP, sharedHop } from "../exchange/placed-hop.ts";
import type { FinishedExchange } from "../exchange/record.ts";
import { type FieldList, MadeFields } from "../message/field-list.ts";
import type { Decision } from "../routing/decision.ts";

/** A field list as a connection would show it; for tests. */
export function fieldList(fields: readonly (readonly [string, string])[]): FieldList {
  return new MadeFields(fields.flat());
}

/** An exchange tagged `jane-42` that its fork answered; for tests. */
export function taggedExchange(changes: Partial<FinishedExchange> = {}): FinishedExchange {
  return {
    mode: "inbound",
    workload: "shop/cart",
    healed: null,
    decision: decision({}),
    revision: "e.1",
    tagText: "jane-42",
    place: sharedHop("00000000000000aa", "00000000000000bb", null),
    startEpochMs: 1_700_000_000_000,
    startedAtMs: 1_000,
    firstByteAtMs: 1_003,
    endedAtMs: 1_004.5,
    fields: fieldList([["host", "cart.shop:8080"]]),
    method: "GET",
    target: "/items?token=secret",
    protocol: "http/1.1",
    downstreamAddress: "10.0.0.7",
    endpoint: "10.0.0.9:8080",
    status: 200,
    requestBytes: 3,
    responseBytes: 40,
    attempt: 1,
    fault: null,
    closedBy: null,
    ...changes,
  };
}

/** As taggedExchange, without a tag. */
export function untaggedExchange(changes: Partial<FinishedExchange> = {}): FinishedExchange {
  return taggedExchange({
    decision: decision({ outcome: "baseline", reason: "no-key", key: null }),
    tagText: "",
    place: NO_HOP,
    ...changes,
  });
}

/** A decision for the fork of `jane-42`, changed as said; for tests. */
export function decision(changes: Partial<Decision>): Decision {
  return {
    outcome: "fork",
    reason: "fork",
    status: 0,
    key: "jane-42",
    route: null,
    collision: null,
    ...changes,
  };
}
