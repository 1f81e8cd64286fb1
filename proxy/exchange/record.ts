import type { FaultCode } from "../fault.ts";
import type { FieldList } from "../message/field-list.ts";
import type { Decision } from "../routing/decision.ts";
import type { PlacedHop } from "./placed-hop.ts";

/**
 * An exchange that is over, as log, metrics, spans and hop records read it.
 *
 * Before: exchange/exchange.ts. After: telemetry/.
 * Hot path: the exchange itself is passed, nothing is built for those who do not look.
 */
export interface FinishedExchange {
  readonly mode: "inbound" | "outbound" | "edge";
  /** Whose request it is: the proxy's own workload, or the one called; empty if nobody knows. */
  readonly workload: string;
  /** From where an outbound proxy took the tag that the call had lost; null: it came with it. */
  readonly healed: "sandbox" | "affinity" | null;
  /** The final decision: after a fork turned out to be down, too. */
  readonly decision: Decision;
  /** Revision of the table that decided. */
  readonly revision: string;
  /** The tag as received, strict mark included (`jane-42!`); empty when untagged. */
  readonly tagText: string;
  /** Where in the tree of hops it stands; NO_HOP when untagged. */
  readonly place: PlacedHop;
  /** When the head was read, in milliseconds since the Unix epoch. */
  readonly startEpochMs: number;
  /** On the monotonic clock, in milliseconds. `firstByteAtMs` is 0 if no response byte came. */
  readonly startedAtMs: number;
  readonly firstByteAtMs: number;
  readonly endedAtMs: number;
  /** Fields of the request; valid only during the call. */
  readonly fields: FieldList;
  readonly method: string;
  /** Path and query as received. */
  readonly target: string;
  readonly protocol: "http/1.1" | "h2";
  /** IP address of who connected. */
  readonly downstreamAddress: string;
  /** `host:port` that it was forwarded to; null if to none. */
  readonly endpoint: string | null;
  /** Status sent downstream; 0 if none was. */
  readonly status: number;
  /** Body bytes, without framing. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly attempt: number;
  readonly fault: FaultCode | null;
  readonly closedBy: "downstream" | "upstream" | "proxy" | null;
}

/** Somebody who wants to know of finished exchanges. Must not throw, wait, or keep `exchange`. */
export interface ExchangeSink {
  finished(exchange: FinishedExchange): void;
}
