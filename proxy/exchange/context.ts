import type { Clock } from "../../core/clock.ts";
import type { OnBug } from "../../core/invariant.ts";
import type { Networks } from "../../core/networks.ts";
import type { Ticker } from "../../core/ticker.ts";
import type { FaultCode } from "../fault.ts";
import type { Limits } from "../limits.ts";
import { FIELD, knownFieldByName } from "../message/known-field.ts";
import { BaggageReader } from "../routing/baggage-line.ts";
import type { Calls } from "../routing/callees.ts";
import { type Carrier, carrierHeader } from "../routing/carrier.ts";
import type { EntryPlace } from "../routing/edge-entry.ts";
import type { WorkloadTable } from "../routing/table.ts";
import type { EndpointChoice } from "../upstream/endpoint-choice.ts";
import type { UpstreamPool } from "../upstream/pool.ts";
import type { ExchangeSink } from "./record.ts";
import type { TraceAffinity } from "./trace-affinity.ts";
import type { UnderscoreRule } from "./underscore-fields.ts";
import type { Way } from "./way.ts";

/** What all exchanges of a proxy share. */
export interface ExchangeContext {
  readonly workload: string;
  readonly instance: string;
  /** Reads and writes `forklane-via` for this proxy. */
  readonly way: Way;
  readonly mode: "inbound" | "outbound" | "edge";
  /** The sandbox whose fork the proxy stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  readonly probePaths: readonly string[];
  /** `host:port` of the baseline; intercepted connections have their own (`DownstreamStream.baseline`). */
  readonly upstream: string;
  /** Whether the service is told who called, in `X-Forwarded-For`. */
  readonly appendsForwardedFor: boolean;
  /** Replaced, never changed; an exchange keeps the one that it began with. */
  table: WorkloadTable;
  /** Set once the proxy is stopping: responses announce that their connection closes. */
  isDraining: boolean;
  /** What lack of memory makes the proxy do: nothing, close connections, refuse what is new. */
  overload: "none" | "closes" | "refuses";
  /** Requests with tags that differ, so far. */
  ambiguousTags: number;
  readonly carriers: CarrierSet;
  readonly trustTagsFrom: Networks;
  readonly entries: readonly EntryPlace[];
  readonly underscoreFields: UnderscoreRule;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly pool: UpstreamPool;
  readonly choice: EndpointChoice;
  readonly sinks: readonly ExchangeSink[];
  readonly onBug: OnBug;
  /** Told of what is wrong with the rest of a request that was answered: no exchange has it any more. */
  readonly onLateFault: (code: FaultCode) => void;
  /** Whom the calls of the service may be for; null where exchanges come in to it. */
  readonly outbound: Outbound | null;
  /** Remembers the tags that came in, for the calls that go out; null where none do. */
  readonly affinity: TraceAffinity | null;
}

/** What a proxy knows of the calls that the service next to it makes. */
export interface Outbound {
  /** Replaced with each table. */
  calls: Calls;
  /** Where an address is the cluster's, beside those of the table. */
  readonly clusterNetworks: Networks;
  /** Whether tags are taken off calls that leave the cluster. */
  readonly stripsOutside: boolean;
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
  /** Reads baggage for them. */
  readonly baggage: BaggageReader;
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
    baggage: new BaggageReader(list),
  };
}
