import type { Clock } from "../../core/clock.ts";
import type { Networks } from "../../core/networks.ts";
import type { Ticker } from "../../core/ticker.ts";
import type { Limits } from "../limits.ts";
import { FIELD, knownFieldByName } from "../message/known-field.ts";
import { type Carrier, carrierHeader } from "../routing/carrier.ts";
import type { WorkloadTable } from "../routing/table.ts";
import type { EndpointChoice } from "../upstream/endpoint-choice.ts";
import type { UpstreamPool } from "../upstream/pool.ts";
import type { ExchangeSink } from "./record.ts";

/** What all exchanges of a proxy share. */
export interface ExchangeContext {
  readonly workload: string;
  readonly instance: string;
  readonly mode: "inbound" | "edge";
  /** The sandbox whose fork the proxy stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  readonly probePaths: readonly string[];
  /** `host:port` of the baseline. */
  readonly upstream: string;
  /** Replaced, never changed; an exchange keeps the one that it began with. */
  table: WorkloadTable;
  /** Set once the proxy is stopping: responses announce that their connection closes. */
  isDraining: boolean;
  /** Requests with tags that differ, so far. */
  ambiguousTags: number;
  readonly carriers: CarrierSet;
  readonly trustTagsFrom: Networks;
  readonly entries: readonly ("host" | "cookie" | "header")[];
  readonly limits: Limits;
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly pool: UpstreamPool;
  readonly choice: EndpointChoice;
  readonly sinks: readonly ExchangeSink[];
}

/** The carriers, and how to see at a glance that a head has none of them. */
export interface CarrierSet {
  readonly list: readonly Carrier[];
  /** Bits of the known fields that may carry a tag or are ours. */
  readonly mask: number;
  /** Names of the other fields that may carry one; lower case. */
  readonly otherNames: readonly string[];
  /** Members of baggage and tracestate that are tags or ours. */
  readonly members: readonly string[];
}

/** Prepares carriers for the hot path. `ownMembers` are baggage members of ours. */
export function carrierSet(list: readonly Carrier[], ownMembers: readonly string[]): CarrierSet {
  const names = new Set(list.map(carrierHeader));
  const known = [...names].map(knownFieldByName).filter((id) => id !== FIELD.OTHER);
  return {
    list,
    mask: known.reduce((mask, id) => mask | (1 << id), 1 << FIELD.BAGGAGE),
    otherNames: [...names].filter((name) => knownFieldByName(name) === FIELD.OTHER),
    members: [...list.flatMap((it) => (it.kind === "header" ? [] : [it.member])), ...ownMembers],
  };
}
