/** One changed copy of one workload. */
export interface Fork {
  /** `namespace/name` of what it is a copy of. */
  readonly workload: string;
  /** `address:port` each, an IP address always; none means that the fork is down. */
  readonly endpoints: readonly string[];
}
