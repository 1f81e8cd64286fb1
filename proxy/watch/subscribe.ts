import type { IncomingMessage } from "node:http";
import type { Clock } from "../../core/clock.ts";
import { type SseEvent, SseReader } from "../../core/sse.ts";
import type { ControlApi } from "./control-api.ts";

/**
 * Keeps one event stream from control open, for as long as the proxy runs.
 *
 * Before: watch.ts. After: apply.ts takes each event.
 * Invariants: there is never more than one stream; a stream without a byte for HEARTBEAT_TIMEOUT_MS
 * is dead; after each end there is a pause, so that a control that fails at once is not stormed, nor one
 * that sends in each stream what is kept out.
 */

/** Two missed heartbeats and some: below the lease, so that another try fits into it. */
export const HEARTBEAT_TIMEOUT_MS = 12_000;

/** Pauses between tries: they double from the first to the last. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5_000;

/**
 * How long after `restart` pauses go on to grow, whatever is taken: several of the longest pauses, with
 * what a control sends before it comes to what is kept out.
 */
export const RESTART_MEMORY_MS = 60_000;

/** What a subscription needs, and whom it tells. */
export interface SubscriptionOptions {
  readonly api: ControlApi;
  readonly clock: Clock;
  /** Path and query of the watch. */
  readonly path: string;
  readonly heartbeatTimeoutMs?: number;
  /** 0 to below 1: spreads the proxies that lost control at the same moment. */
  readonly random?: () => number;
  /** For tests: in place of a timer. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The revision to resume after; null asks for everything. */
  lastEventId(): string | null;
  onOpen(): void;
  /** Says whether to go on with this stream; `restart` closes it and opens another after a pause. */
  onEvent(event: SseEvent): "continue" | "restart";
  /** Told after each try that ended, unless `onEvent` ended it. */
  onLost(why: string): void;
}

/** See above. */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  /** Tries since the last event that was taken; not reset for a while after a `restart`. */
  #fruitless = 0;
  #restartedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Closes the stream; resolves when it is closed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const why = await this.#streamOnce();
      if (signal.aborted) return;
      if (why !== null) this.#options.onLost(why);
      const { random = Math.random, pause = pauseByTimer } = this.#options;
      await pause(pauseMs(this.#fruitless, random()), signal);
      this.#fruitless++;
    }
  }

  /** Opens a stream and reads it to its end; says why it ended, null where `onEvent` wanted it. */
  async #streamOnce(): Promise<string | null> {
    const { api, path, lastEventId, onOpen } = this.#options;
    const opened = await api.openStream(path, lastEventId(), this.#stop.signal);
    if (!opened.ok) return opened.error.why;
    onOpen();
    return await this.#read(opened.value);
  }

  #read(response: IncomingMessage): Promise<string | null> {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const end = (why: string | null) => {
      resolve(why);
      response.destroy();
    };
    const reader = new SseReader();
    response.setEncoding("utf8");
    response.setTimeout(this.#options.heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS, () =>
      end("control sent no heartbeat in time"),
    );
    response.on("data", (piece: string) => {
      const events = reader.read(piece);
      if (!events.ok) return end(events.error);
      for (const event of events.value) {
        if (!this.#take(event)) return end(null);
      }
    });
    response.once("close", () => resolve("control closed the watch"));
    return promise;
  }

  /** Whether the stream goes on. */
  #take(event: SseEvent): boolean {
    const { onEvent, clock } = this.#options;
    const isRestart = onEvent(event) === "restart";
    const nowMs = clock.nowMs();
    if (isRestart) this.#restartedAtMs = nowMs;
    else if (nowMs - this.#restartedAtMs > RESTART_MEMORY_MS) this.#fruitless = 0;
    return !isRestart;
  }
}

/** Between half and all of 100 ms, 200 ms, ... 5 s. `random` is 0 to below 1. */
export function pauseMs(fruitless: number, random: number): number {
  const full = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(fruitless, 10));
  return full * (0.5 + random / 2);
}

function pauseByTimer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}
