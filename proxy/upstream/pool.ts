import { type Address, parseAddress } from "../../core/address.ts";
import type { OnBug } from "../../core/invariant.ts";
import type { Ticker, Ticking } from "../../core/ticker.ts";
import type { FaultCode } from "../fault.ts";
import type { Limits } from "../limits.ts";
import type { ResponseListener, UpstreamStream } from "../message/stream.ts";
import { Http1UpstreamConnection, type UpstreamConnectionOwner } from "./http1-connection.ts";

/**
 * Gives an exchange a connection to where its decision points.
 *
 * Before: exchange/exchange.ts. After: upstream/http1-connection.ts.
 * Invariant: a request that cannot be repeated gets a connection that is new, or was idle for so
 * short a time that no service has closed it.
 * Hot path: with an idle connection it answers at once.
 */
export class UpstreamPool implements UpstreamConnectionOwner, Ticking {
  readonly #limits: Limits;
  readonly #ticker: Ticker;
  readonly #slots = new Map<string, Slot>();
  #isClosed = false;
  readonly onBug: OnBug;

  constructor(limits: Limits, ticker: Ticker, onBug: OnBug) {
    this.#limits = limits;
    this.#ticker = ticker;
    this.onBug = onBug;
  }

  /** Open connections, and those being opened. */
  get connections(): number {
    let sum = 0;
    for (const slot of this.#slots.values()) sum += slot.connections;
    return sum;
  }

  /** Requests that wait for a connection. */
  get waiting(): number {
    let sum = 0;
    for (const slot of this.#slots.values()) sum += slot.waiting.length;
    return sum;
  }

  /**
   * Asks for a connection to `endpoint` (`host:port`). The waiter is told exactly once, perhaps
   * before this returns. `fresh`: `any` idle connection, one `recent`ly used, or a `new` one.
   */
  request(endpoint: string, fresh: "any" | "recent" | "new", waiter: UpstreamWaiter): void {
    const slot = this.#slots.get(endpoint) ?? this.#open(endpoint);
    if (slot === null) {
      waiter.onUpstreamConnectFault("connect-refused");
      return;
    }
    const idle = fresh === "new" ? null : this.#takeIdle(slot, fresh === "recent");
    if (idle !== null) waiter.onUpstreamReady(idle);
    else if (slot.waiting.length >= this.#limits.upstreamWaitingMax) {
      waiter.onUpstreamConnectFault("pool-full");
    } else {
      const dueAtMs = this.#ticker.now() + this.#limits.upstreamWaitMs;
      slot.waiting.push({ waiter, needsNew: fresh === "new", dueAtMs });
      this.#ticker.add(this);
      if (slot.connections < this.#limits.upstreamConnectionsMax) this.#connect(slot);
      else this.#closeOldestIdle(slot);
    }
  }

  /** Whether a connection of ours to `endpoint` comes from this port: it was not somebody else's. */
  hasOpened(endpoint: string, localPort: number): boolean {
    for (const { localPort: own } of this.#slots.get(endpoint)?.members ?? []) {
      if (own === localPort) return true;
    }
    return false;
  }

  /** Takes a waiter out of the line: it is told nothing any more. */
  withdraw(endpoint: string, waiter: UpstreamWaiter): void {
    const waiting = this.#slots.get(endpoint)?.waiting;
    const at = waiting?.findIndex((it) => it.waiter === waiter) ?? -1;
    if (at >= 0) waiting?.splice(at, 1);
  }

  /** Refuses who has waited for too long; nobody waiting, it is told the time no more. */
  tick(nowMs: number): void {
    for (const { waiting } of [...this.#slots.values()]) {
      // In the order in which they came, so the first one is due first.
      while (waiting[0] !== undefined && waiting[0].dueAtMs <= nowMs) {
        waiting.shift()?.waiter.onUpstreamConnectFault("pool-full");
      }
    }
    // Asked now: who was refused may have let another request join a line that was looked at before.
    if (this.waiting === 0) this.#ticker.delete(this);
  }

  /** Gives back a connection that was not used after all. */
  giveBack(connection: UpstreamConnection): void {
    this.onIdle(connection);
  }

  /** Closes idle connections to endpoints that are not wanted any more; busy ones after their exchange. */
  retain(isWanted: (endpoint: string) => boolean): void {
    for (const slot of this.#slots.values()) {
      if (isWanted(slot.endpoint)) continue;
      for (const connection of [...slot.members]) connection.retire();
    }
  }

  /** Closes every connection, for good. */
  close(): void {
    this.#isClosed = true;
    this.#ticker.delete(this);
    for (const slot of this.#slots.values()) {
      for (const connection of [...slot.members]) connection.abort();
    }
  }

  // --- what connections say

  onConnected(connection: UpstreamConnection): void {
    const slot = this.#slots.get(connection.endpoint);
    if (slot !== undefined) slot.connecting--;
    this.onIdle(connection);
  }

  /** Told before onClosed; one waiter, one attempt to connect. */
  onConnectFault(connection: UpstreamConnection, code: FaultCode): void {
    const slot = this.#slots.get(connection.endpoint);
    if (slot === undefined) return;
    slot.connecting--;
    slot.waiting.shift()?.waiter.onUpstreamConnectFault(code);
  }

  onIdle(connection: UpstreamConnection): void {
    const slot = this.#slots.get(connection.endpoint);
    if (slot === undefined) return;
    const at = slot.waiting.findIndex((it) => !(it.needsNew && connection.isReused));
    if (at >= 0) slot.waiting.splice(at, 1)[0]?.waiter.onUpstreamReady(connection);
    // Whoever waits needs a new one: this one makes room for it.
    else if (connection.isRetired || slot.waiting.length > slot.connecting) connection.retire();
    else slot.idle.push(connection);
  }

  onClosed(connection: UpstreamConnection): void {
    const slot = this.#slots.get(connection.endpoint);
    if (slot === undefined) return;
    slot.members.delete(connection);
    slot.connections--;
    const at = slot.idle.indexOf(connection);
    if (at >= 0) slot.idle.splice(at, 1);
    if (slot.waiting.length > slot.connecting && !this.#isClosed) this.#connect(slot);
    else if (slot.connections === 0) this.#slots.delete(slot.endpoint);
  }

  #open(endpoint: string): Slot | null {
    const address = parseAddress(endpoint);
    if (!address.ok) return null;
    const slot = {
      endpoint,
      address: address.value,
      idle: [],
      members: new Set<UpstreamConnection>(),
      waiting: [],
      connections: 0,
      connecting: 0,
    };
    this.#slots.set(endpoint, slot);
    return slot;
  }

  /** The connection used last, so that the others grow old and are closed. */
  #takeIdle(slot: Slot, mustBeRecent: boolean): UpstreamConnection | null {
    const oldest = this.#ticker.nowMs - this.#limits.upstreamFreshMs;
    const connection = slot.idle[slot.idle.length - 1];
    if (connection === undefined) return null;
    if (mustBeRecent && connection.idleSinceMs < oldest) return null;
    slot.idle.pop();
    return connection;
  }

  #connect(slot: Slot): void {
    slot.connections++;
    slot.connecting++;
    const connectMs = isLoopback(slot.address)
      ? this.#limits.connectLocalMs
      : this.#limits.connectMs;
    slot.members.add(
      new Http1UpstreamConnection(
        slot.endpoint,
        slot.address,
        connectMs,
        this,
        this.#limits,
        this.#ticker,
      ),
    );
  }

  /** Makes room for a new connection where all idle ones are too old for the one who waits. */
  #closeOldestIdle(slot: Slot): void {
    slot.idle[0]?.abort();
  }
}

/** A connection to an upstream, whatever the protocol version. */
export interface UpstreamConnection extends UpstreamStream {
  readonly endpoint: string;
  /** The port that it comes from; 0 before the kernel has chosen one. */
  readonly localPort: number;
  /** Set when its endpoint left the table: not used again. */
  readonly isRetired: boolean;
  /** Since when it has been idle, in milliseconds on the ticker's clock. */
  readonly idleSinceMs: number;
  /** Binds it to one exchange, until its response ends. */
  begin(listener: ResponseListener): void;
  /** Wanted no more: closed now if idle, else after its exchange. */
  retire(): void;
}

/** Who waits for a connection: an exchange. */
export interface UpstreamWaiter {
  /**
   * The connection is the waiter's to `begin`, or to give back at once.
   */
  onUpstreamReady(connection: UpstreamConnection): void;
  onUpstreamConnectFault(code: FaultCode): void;
}

/** A place in the line for a connection. */
interface Waiting {
  readonly waiter: UpstreamWaiter;
  /** Whether a connection that carried another exchange will not do. */
  readonly needsNew: boolean;
  readonly dueAtMs: number;
}

/** All connections to one endpoint. */
interface Slot {
  readonly endpoint: string;
  readonly address: Address;
  /** In the order in which they became idle. */
  readonly idle: UpstreamConnection[];
  readonly members: Set<UpstreamConnection>;
  /** In the order in which they came. */
  readonly waiting: Waiting[];
  connections: number;
  /** How many of them are not connected yet. */
  connecting: number;
}

function isLoopback(address: Address): boolean {
  return address.host.startsWith("127.") || address.host === "::1" || address.host === "localhost";
}
