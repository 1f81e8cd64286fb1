import type { Fork } from "./fork.ts";

/** What the proxies do when a fork cannot be reached. */
export type OnUnavailable = "fail" | "baseline";

/** When a resource ends by itself: durations such as `2h`; the first that is over counts. */
export interface Ttl {
  /** Since a request with its key was last seen. */
  readonly idle?: string;
  /** Since it was last written. */
  readonly sinceUpdate?: string;
  /** Since it was created. */
  readonly max?: string;
}

/** A named set of forks with one routing key: whole, valid, in one order of properties. */
export interface SandboxSpec {
  readonly forks: readonly Fork[];
  readonly routingKey: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly onUnavailable: OnUnavailable;
  readonly ttl: Ttl;
}

/** A sandbox as a client writes it, its shape checked: what is absent gets its default. */
export interface SandboxBody {
  readonly name?: string;
  readonly forks: readonly { readonly workload: string; readonly endpoints: readonly string[] }[];
  readonly routingKey?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly onUnavailable?: OnUnavailable;
  readonly ttl?: Ttl;
  /** Read-only; ignored, so that what GET answers can be PUT again. */
  readonly status?: unknown;
}
