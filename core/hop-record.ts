/** What a proxy reports of one tagged exchange: the evidence from which traces are built. */
export interface HopRecord {
  readonly v: 1;
  /** The id of the request that entered first: 16 lower-case hex characters. */
  readonly root: string;
  /** The id of this hop, unique within its root: 16 lower-case hex characters. */
  readonly hop: string;
  /** The hop that caused this one; null at the entry. */
  readonly parent: string | null;
  /** When the request head was read, in milliseconds since the Unix epoch. */
  readonly timeMs: number;
  /** Who connected to the proxy: an IP address, or the workload where it is known. */
  readonly caller: string | null;
  readonly workload: string;
  /** Instance of the proxy that reports, unique while it runs. */
  readonly proxy: string;
  readonly mode: "inbound" | "outbound" | "edge";
  /** The sandbox whose fork the proxy stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  /** Where a call had lost its tag: from what the caller's proxy gave it back; else null. */
  readonly healed?: "sandbox" | "affinity" | null;
  /** The tag as the request carried it, strict mark included: `jane-42!`. */
  readonly tag: string;
  /** The key that decided, or the first one of the tag. */
  readonly key: string;
  readonly outcome: "fork" | "baseline" | "refused";
  readonly reason: string;
  /** Revision of the table that decided. */
  readonly revision: string;
  /** `host:port` that the request was forwarded to; null if to none. */
  readonly endpoint: string | null;
  /** 32 lower-case hex characters where the request carried a trace id. */
  readonly traceId: string | null;
  readonly protocol: "http/1.1" | "h2";
  /** Status sent downstream; 0 if none was. */
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Until the first byte of the response, in milliseconds; null if none came. */
  readonly ttfbMs: number | null;
  readonly totalMs: number;
  /** 1 for the first try, 2 if the exchange was sent once more. */
  readonly attempt: number;
  /** Who ended it before it was complete; null if nobody did. */
  readonly closedBy: "downstream" | "upstream" | "proxy" | null;
  /** Code of the fault, from the proxy's fault table; null if there was none. */
  readonly fault: string | null;
}

/** Stands in `dropped` for every key that is not told apart; no routing key can be `*`. */
export const OTHER_KEYS = "*";

/**
 * First line of a batch (NDJSON, `POST /v1/hops`); hop records follow, and observations
 * (core/observation.ts), a line each.
 */
export interface HopBatch {
  readonly batch: {
    readonly proxy: string;
    /** The flush that this batch answers; null for an ordinary one. */
    readonly flush: string | null;
    /**
     * How many records of each key were dropped since the last batch that arrived; under OTHER_KEYS
     * those of keys that are not told apart, so that any key may be concerned.
     */
    readonly dropped: Readonly<Record<string, number>>;
    /** Observations that this proxy could not hold since its window opened; absent: none. */
    readonly observationsDropped?: number;
  };
}
