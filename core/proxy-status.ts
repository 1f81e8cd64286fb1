/** How long a proxy counts as present after its last status, in milliseconds. */
export const LEASE_MS = 15_000;

/** How often a proxy sends its status when nothing changed, in milliseconds: a third of the lease. */
export const STATUS_INTERVAL_MS = 5_000;

/** What a proxy tells control of itself (`POST /v1/proxies/{id}/status`). */
export interface ProxyStatus {
  readonly workloads: readonly string[];
  /** Workloads to which it routes calls of its service: a shortcut, their own proxies decide last. */
  readonly callees?: readonly string[];
  readonly mode: "inbound" | "outbound" | "edge";
  /** The sandbox whose fork it stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  /** `host:port` where it takes traffic, and where its admin answers (null: nowhere). */
  readonly listen: string;
  readonly admin: string | null;
  readonly version: string;
  readonly leaseMs: number;
  /** Revision that each worker has applied; null before its first table. */
  readonly applied: readonly (string | null)[];
  /** The last table that it refused, and why; null if none since the last one it took. */
  readonly rejected: { readonly revision: string | null; readonly why: string } | null;
  /** Fork endpoints, `host:port`, and whether each accepted a connection from this proxy. */
  readonly endpoints: Readonly<Record<string, EndpointCheck>>;
  /** When a request with a key was last seen, in milliseconds since the Unix epoch. */
  readonly lastSeen: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<string, number>>;
  /** True with a clean stop: the proxy is gone, do not wait for its lease. */
  readonly leaving: boolean;
}

/** The last attempt to connect to an endpoint. */
export interface EndpointCheck {
  readonly accepted: boolean;
  /** Why not, as a fault code; null if accepted. */
  readonly fault: string | null;
  readonly timeMs: number;
}
