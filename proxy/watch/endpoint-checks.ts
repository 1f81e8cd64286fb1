import { connect } from "node:net";
import { parseAddress } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import type { EndpointCheck } from "../../core/proxy-status.ts";
import type { FaultCode } from "../fault.ts";

/**
 * Connects to each fork endpoint from where the baseline's traffic comes from, and notes who accepts.
 *
 * Before: apply.ts names the endpoints. After: report.ts tells control (condition `Available`).
 * A connection is opened and closed at once; no byte is sent. Not on the request path.
 */

/** Connections being opened at a time. */
export const CHECKS_AT_ONCE_MAX = 16;

/** Of these, for endpoints that were looked at before: dead ones must not delay a new sandbox. */
const REPEATS_AT_ONCE_MAX = 8;

/** How long an endpoint has to accept, in milliseconds: the proxy's own limit for a fork. */
const CONNECT_MS = 1_000;

/** Until the next look, in milliseconds: while it does not accept, and once it does. */
const RETRY_MS = 1_000;
const REPEAT_MS = 5_000;

/** Looks at known endpoints in a second, so that thousands of forks are not a load of their own. */
const REPEATS_PER_SECOND_MAX = 100;

/** Endpoints that are told to control, which takes 4,096 in one status. */
export const ENDPOINTS_REPORTED_MAX = 4_000;

interface Watched {
  readonly endpoint: string;
  check: EndpointCheck | null;
  dueAtMs: number;
  isRunning: boolean;
}

/** What the checks need. */
export interface EndpointChecksOptions {
  readonly clock: Clock;
  /** Told when an endpoint was looked at for the first time, or changed its mind. */
  onChange(): void;
}

/** The endpoints that are looked at, and what came of the last look at each. */
export class EndpointChecks {
  readonly #options: EndpointChecksOptions;
  readonly #watched = new Map<string, Watched>();
  /** Not looked at yet, oldest first. */
  readonly #fresh: Watched[] = [];
  #running = 0;
  #repeatsLeft = REPEATS_PER_SECOND_MAX;
  #refilledAtMs = 0;
  #isStopped = false;

  constructor(options: EndpointChecksOptions) {
    this.#options = options;
  }

  /** Says which endpoints there are; new ones are looked at now, others forgotten. */
  want(endpoints: ReadonlySet<string>): void {
    for (const endpoint of this.#watched.keys()) {
      if (!endpoints.has(endpoint)) this.#watched.delete(endpoint);
    }
    for (const endpoint of endpoints) {
      if (this.#watched.has(endpoint)) continue;
      const watched = { endpoint, check: null, dueAtMs: 0, isRunning: false };
      this.#watched.set(endpoint, watched);
      this.#fresh.push(watched);
    }
    this.#startFresh();
  }

  /** Looks again at those that are due; to be called some times a second. */
  tick(): void {
    this.#startFresh();
    const nowMs = this.#options.clock.nowMs();
    this.#refill(nowMs);
    for (const watched of this.#watched.values()) {
      if (this.#running >= REPEATS_AT_ONCE_MAX || this.#repeatsLeft < 1) return;
      if (watched.isRunning || watched.check === null || watched.dueAtMs > nowMs) continue;
      this.#repeatsLeft--;
      this.#start(watched);
      // To the end of the order, so that each has its turn when the budget is short.
      this.#watched.delete(watched.endpoint);
      this.#watched.set(watched.endpoint, watched);
    }
  }

  /** The last look at each, the latest ones; an endpoint that was not looked at yet is absent. */
  results(): Record<string, EndpointCheck> {
    let checked: [string, EndpointCheck][] = [];
    for (const { endpoint, check } of this.#watched.values()) {
      if (check !== null) checked.push([endpoint, check]);
    }
    if (checked.length > ENDPOINTS_REPORTED_MAX) {
      checked = checked
        .toSorted(([, a], [, b]) => b.timeMs - a.timeMs)
        .slice(0, ENDPOINTS_REPORTED_MAX);
    }
    return Object.fromEntries(checked);
  }

  stop(): void {
    this.#isStopped = true;
    this.#watched.clear();
    this.#fresh.length = 0;
  }

  #refill(nowMs: number): void {
    if (nowMs - this.#refilledAtMs < 1_000) return;
    this.#refilledAtMs = nowMs;
    this.#repeatsLeft = REPEATS_PER_SECOND_MAX;
  }

  #startFresh(): void {
    while (this.#running < CHECKS_AT_ONCE_MAX) {
      const watched = this.#fresh.shift();
      if (watched === undefined) return;
      if (this.#watched.get(watched.endpoint) === watched) this.#start(watched);
    }
  }

  #start(watched: Watched): void {
    this.#running++;
    watched.isRunning = true;
    void tryConnect(watched.endpoint).then((fault) => this.#finish(watched, fault));
  }

  #finish(watched: Watched, fault: FaultCode | null): void {
    this.#running--;
    if (this.#isStopped) return;
    watched.isRunning = false;
    const before = watched.check;
    const { clock } = this.#options;
    watched.check = { accepted: fault === null, fault, timeMs: clock.epochMs() };
    watched.dueAtMs = clock.nowMs() + (fault === null ? REPEAT_MS : RETRY_MS);
    if (before?.fault !== fault || before === null) this.#options.onChange();
    this.#startFresh();
  }
}

/** Opens a connection and closes it; null if it was accepted. Never rejects. */
function tryConnect(endpoint: string): Promise<FaultCode | null> {
  const address = parseAddress(endpoint);
  if (!address.ok) return Promise.resolve("connect-refused");
  return new Promise((resolve) => {
    const socket = connect({ host: address.value.host, port: address.value.port });
    const finish = (fault: FaultCode | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(fault);
    };
    const timer = setTimeout(() => finish("connect-timeout"), CONNECT_MS);
    socket.once("connect", () => finish(null));
    socket.on("error", () => finish("connect-refused"));
  });
}
