import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { BenchError } from "../bench-error.ts";
import type { WatchersMessage, WatchersOrder } from "./watchers-order.ts";

const THREAD = new URL("./watchers-thread.ts", import.meta.url);
const READY_DEADLINE_MS = 15_000;
const POLL_MS = 5;

/** When the proxies knew a key, on the machine's monotonic clock. */
export interface Arrivals {
  /** The last proxy next to the workload that the sandbox forks. */
  readonly concernedNs: bigint;
  /** The last of all proxies. */
  readonly allNs: bigint;
}

/** One arrival at one proxy. */
interface Arrival {
  readonly workload: string;
  readonly atNs: bigint;
}

/** Many proxies that watch one control, spread over a few threads. */
export class Watchers {
  readonly #count: number;
  readonly #threads: Worker[];
  readonly #arrivals = new Map<string, Arrival[]>();
  #ready = 0;
  #fault: BenchError | null = null;

  private constructor(order: WatchersOrder, threads: number) {
    this.#count = order.workloads.length;
    this.#threads = Array.from({ length: threads }, (_, i) => {
      const workloads = order.workloads.filter((_workload, n) => n % threads === i);
      const instancePrefix = `${order.instancePrefix}-${i}`;
      const worker = new Worker(THREAD, { workerData: { ...order, workloads, instancePrefix } });
      worker.on("message", (message: WatchersMessage) => this.#take(message));
      worker.on("error", (error) => {
        const why = error instanceof Error ? error.message : String(error);
        this.#fault = new BenchError(`a thread of proxies failed: ${why}`, { cause: error });
      });
      return worker;
    });
  }

  /** Starts them all and waits until each has a table. */
  static async start(order: WatchersOrder, threads: number): Promise<Watchers> {
    const watchers = new Watchers(order, threads);
    await watchers.#until("a first table", READY_DEADLINE_MS, () => watchers.#ready === threads);
    return watchers;
  }

  /** Waits until every proxy knows the key. */
  async arrivalsOf(key: string, workload: string, deadlineMs: number): Promise<Arrivals> {
    const arrived = (): Arrival[] => this.#arrivals.get(key) ?? [];
    await this.#until(`the key ${key}`, deadlineMs, () => arrived().length === this.#count);
    return {
      concernedNs: lastOf(arrived().filter((arrival) => arrival.workload === workload)),
      allNs: lastOf(arrived()),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #take(message: WatchersMessage): void {
    if (message.kind === "ready") {
      this.#ready++;
      return;
    }
    const arrivals = this.#arrivals.get(message.key) ?? [];
    arrivals.push(message);
    this.#arrivals.set(message.key, arrivals);
  }

  async #until(what: string, deadlineMs: number, holds: () => boolean): Promise<void> {
    const end = performance.now() + deadlineMs;
    while (!holds()) {
      if (this.#fault !== null) throw this.#fault;
      if (performance.now() > end) {
        await this.stop();
        throw new BenchError(`not every proxy had ${what} after ${deadlineMs} ms`);
      }
      await sleep(POLL_MS);
    }
  }
}

function lastOf(arrivals: readonly Arrival[]): bigint {
  return arrivals.reduce((last, { atNs }) => (atNs > last ? atNs : last), 0n);
}
