import type { Ttl } from "./sandbox.ts";

/** Several sandboxes under one routing key: whole, valid, in one order of properties. */
export interface RouteGroupSpec {
  /** Members by name; an earlier one wins where two fork the same workload. */
  readonly sandboxes: readonly string[];
  /** Members by label, after those by name, in the order of their names; null: none. */
  readonly labelSelector: string | null;
  readonly routingKey: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ttl: Ttl;
}

/** A route group as a client writes it, its shape checked: what is absent gets its default. */
export interface RouteGroupBody {
  readonly name?: string;
  readonly sandboxes?: readonly string[];
  readonly labelSelector?: string | null;
  readonly routingKey?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ttl?: Ttl;
  /** Read-only; ignored, so that what GET answers can be PUT again. */
  readonly status?: unknown;
}
