/** What a thread of watches is told. */
export interface WatchersOrder {
  /** Base URL of control. */
  readonly control: string;
  /** One watch for each: the workload that its proxy would stand next to. */
  readonly workloads: readonly string[];
  /** Unique within the run. */
  readonly instancePrefix: string;
  /** Routing keys in the order in which they will come. */
  readonly keys: readonly string[];
}

/** What a thread of watches tells. */
export type WatchersMessage =
  /** All watches have their first table. */
  | { readonly kind: "ready" }
  /** A watch handed over a table that knows the key, at a time of the machine's monotonic clock. */
  | {
      readonly kind: "applied";
      readonly key: string;
      readonly workload: string;
      readonly atNs: bigint;
    };
