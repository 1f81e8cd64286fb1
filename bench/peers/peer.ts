import type { Child } from "../host/child.ts";

/** Where a proxy of the bench stands and what it shall know; the same job for all of them. */
export interface Job {
  readonly listenPort: number;
  /** The service behind it: where untagged requests go. */
  readonly baselinePort: number;
  /** Where requests go whose `sandbox` member of baggage names one of `keys`. */
  readonly forkPort: number;
  readonly keys: readonly string[];
  /** Whether a tag may be `a~b`: then a request is the fork's if either is one of `keys`. */
  readonly composed: boolean;
  /** Folder for its files. */
  readonly folder: string;
  /** The CPU that it has to itself; null leaves it to the kernel. */
  readonly cpu: number | null;
}

/** A proxy that runs, with one process that stands for it and its descendants. */
export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly child: Child;
}

/** How long a proxy may take until it accepts, in milliseconds: 10,000 keys included. */
export const START_DEADLINE_MS = 15_000;

/** `count` routing keys; the same ones in every run. */
export function benchKeys(count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `${BENCH_KEY_PREFIX}${String(i).padStart(6, "0")}`,
  );
}

/** What each of them begins with; a number of six digits follows. */
export const BENCH_KEY_PREFIX = "bench-";

/** A routing key that the proxies may know, and for which nothing is forked behind them. */
export const ELSEWHERE_KEY = "bench-elsewhere";
