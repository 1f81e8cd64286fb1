import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "../../core/address.ts";
import { Http1DownstreamConnection, type Intercepted } from "../downstream/http1-connection.ts";
import { READ_BYTES_MAX } from "../downstream/message-memory.ts";
import { MessagePartsPool } from "../downstream/message-parts.ts";
import { refuseConnection } from "../downstream/refuse-connection.ts";
import type { ExchangeContext } from "../exchange/context.ts";
import { AcceptedSocket, type AcceptOptions, acceptInPlace } from "./accept-in-place.ts";
import { CallConnection, type CallConnectionOwner, type PassedWhy } from "./call-connection.ts";
import type { Interception } from "./interception.ts";

/**
 * A bound port: takes connections up to the limit, refuses the rest fast, and drains on a stop.
 *
 * Before: sides.ts. After: downstream/http1-connection.ts, or listener/call-connection.ts.
 * Invariant: those in progress are never harmed by those that are too many.
 */
export class Listener implements CallConnectionOwner {
  readonly #context: ExchangeContext;
  readonly #interception: Interception | null;
  readonly #accepted: AcceptOptions;
  readonly #partsPool: MessagePartsPool;
  readonly #server: Server;
  readonly #connections = new Set<OpenConnection>();
  /** Connections that came while it held; null while it serves. */
  #held: Socket[] | null = null;
  /** Calls that are passed untouched, by where to. */
  readonly #passing = new Map<string, Set<CallConnection>>();
  /** Idle connections that a drain closed before their callers could be told. */
  closedUntold = 0;
  /** The deadline of a drain, as `performance.now` has it. */
  #endAtMs = Number.POSITIVE_INFINITY;
  /** Resolves when a drain lets nobody new in any more. */
  readonly #acceptsNoMore = Promise.withResolvers<void>();
  #drained: Promise<number> | null = null;
  /** Refused connections that are not gone yet. */
  #refusing = 0;
  /** Connections that were not let in, by why. */
  readonly refusedConnections = {
    "connection-limit": 0,
    overloaded: 0,
    "not-intercepted": 0,
    loop: 0,
  };

  /** Calls that were passed untouched, by why. */
  readonly passedCalls = { outside: 0, silent: 0, unreadable: 0 };

  constructor(context: ExchangeContext, interception: Interception | null = null) {
    this.#context = context;
    this.#interception = interception;
    this.#partsPool = new MessagePartsPool(context.limits);
    const { bufferedBytesMax } = context.limits;
    const readBufferBytes = Math.min(context.limits.readBufferBytes, READ_BYTES_MAX);
    this.#accepted = { allowHalfOpen: true, highWaterMark: bufferedBytesMax, readBufferBytes };
    this.#server = createServer({ ...this.#accepted, noDelay: true }, (socket) =>
      this.#acceptSafely(socket),
    );
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size + (this.#held?.length ?? 0);
  }

  /** From now on connections are taken, and wait unread until `serve`. To be called before `listen`. */
  hold(): void {
    this.#held = [];
  }

  /** Serves those that wait, in the order in which they came, and from now on everybody at once. */
  serve(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const socket of held) this.#acceptSafely(socket);
  }

  /**
   * Binds; rejects with the system's error (`EADDRINUSE`, `EACCES`) if that cannot be done. `fd` is a
   * socket that is bound there already, and that others may listen on, too (proxy/supervisor).
   */
  async listen(address: Address, fd: number | null = null): Promise<Address> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      const isListening = () => {
        this.#server.removeListener("error", reject);
        acceptInPlace(this.#server, this.#accepted);
        // Out of file descriptors, for example: who is connected goes on being served.
        this.#server.on("error", () => undefined);
        resolve();
      };
      const { host, port } = address;
      // With a descriptor Node reads the backlog from the second place only.
      if (fd !== null) this.#server.listen({ fd }, BACKLOG, isListening);
      else this.#server.listen({ host, port, backlog: BACKLOG }, isListening);
    });
    const bound = this.#server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
    return { host: address.host, port };
  }

  /**
   * Stops: goes on accepting for `drainAcceptMs`, or to a moment before the deadline, while every
   * response tells its caller to close. Then nobody new is let in, and idle connections stay open: a
   * caller that uses one again is answered, and told. Who has not by that moment is closed untold,
   * since a request may cross the end of its connection; what is in progress at the deadline is cut off.
   * One that has served nobody yet refuses those who wait, and has nothing to finish.
   * Asked again it may bring the deadline forward, and resolves with the first.
   * Resolves with the number of connections that were cut off.
   */
  async drain({ accepts = true, withinMs }: DrainOptions = {}): Promise<number> {
    const { drainAcceptMs, drainMs } = this.#context.limits;
    this.#endAtMs = Math.min(this.#endAtMs, performance.now() + (withinMs ?? drainMs));
    this.#acceptFor(accepts ? drainAcceptMs : 0);
    this.#drained ??= this.#drain();
    return await this.#drained;
  }

  /** Where it is asked for twice the one that is over first holds. */
  #acceptFor(wantedMs: number): void {
    const { promise, resolve } = this.#acceptsNoMore;
    const leftMs = this.#endAtMs - this.#context.limits.drainedBodyMs - performance.now();
    if (Math.min(wantedMs, leftMs) <= 0) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, Math.min(wantedMs, leftMs));
    void promise.then(() => clearTimeout(timer));
  }

  async #drain(): Promise<number> {
    const { drainedBodyMs } = this.#context.limits;
    const isEmpty = () => this.#connections.size === 0;
    this.#context.isDraining = true;
    if (this.#held !== null) return await this.#refuseHeld(this.#held);
    // Whoever has not heard yet that this address is going away still gets an answer.
    await this.#acceptsNoMore.promise;
    this.#server.close();
    await this.#until(isEmpty, drainedBodyMs);
    for (const connection of this.#connections) {
      if (connection.closeIfIdle()) this.closedUntold++;
    }
    await this.#until(isEmpty, 0);
    let cutOff = 0;
    for (const connection of [...this.#connections]) {
      if (connection.destroy()) cutOff++;
    }
    return cutOff;
  }

  /** Each is told, and gone within `drainedBodyMs`; they are no more than may be served. */
  async #refuseHeld(held: readonly Socket[]): Promise<number> {
    // Whom the kernel has let in already is taken meanwhile: a close would reset them.
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    this.#acceptsNoMore.resolve();
    this.#server.close();
    const waiting = held.filter((socket) => !socket.destroyed);
    let told = 0;
    for (const socket of waiting) refuseConnection(socket, this.#context, "draining", () => told++);
    await this.#until(() => told === waiting.length, 0);
    return 0;
  }

  /** Stops at once, without a word. */
  close(): void {
    this.#server.close();
    for (const socket of this.#held ?? []) socket.destroy();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #acceptSafely(socket: Socket): void {
    try {
      this.#accept(socket);
    } catch (bug) {
      socket.destroy();
      this.#context.onBug(bug);
    }
  }

  #accept(socket: Socket): void {
    if (this.#held !== null && this.connections < this.#context.limits.downstreamConnectionsMax) {
      // One that is reset meanwhile is dropped when its turn comes.
      socket.on("error", () => undefined);
      this.#held.push(socket);
      return;
    }
    // Reset while it waited to be accepted. Its bytes can be read, but not whose they are: a tag
    // would not be believed, and the request would go to the baseline as if it had none.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    if (this.#context.overload === "refuses") {
      this.#refuse(socket, "overloaded");
      return;
    }
    if (this.connections >= this.#context.limits.downstreamConnectionsMax) {
      this.#refuse(socket, "connection-limit");
      return;
    }
    // One that waits for its answer sends nothing: that its machine is gone has to be asked.
    socket.setKeepAlive(true, this.#context.limits.peerProbeMs);
    const intercepted = this.#interception?.intercepted(socket) ?? null;
    if (intercepted === null && this.#interception !== null) {
      this.#refuse(socket, "not-intercepted");
      return;
    }
    if (intercepted !== null && this.#context.outbound !== null) {
      if (this.#isOurs(socket, intercepted)) {
        this.#refuse(socket, "loop");
        return;
      }
      this.#connections.add(new CallConnection(socket, this.#context, intercepted, this));
    } else this.#serve(socket, intercepted);
  }

  /** A connection that this process opened itself came back: rules that do not leave its user alone. */
  #isOurs({ remotePort = 0 }: Socket, { baseline }: Intercepted): boolean {
    if (this.#context.pool.hasOpened(baseline, remotePort)) return true;
    for (const { localPort } of this.#passing.get(baseline) ?? []) {
      if (localPort === remotePort) return true;
    }
    return false;
  }

  // --- what redirected calls say

  passes(why: PassedWhy): void {
    this.passedCalls[why]++;
  }

  connects(call: CallConnection): void {
    const others = this.#passing.get(call.endpoint) ?? new Set();
    this.#passing.set(call.endpoint, others.add(call));
  }

  speaksHttp(socket: Socket, intercepted: Intercepted): void {
    this.#serve(socket, intercepted);
  }

  callOver(call: CallConnection): void {
    this.#connections.delete(call);
    const others = this.#passing.get(call.endpoint);
    others?.delete(call);
    if (others?.size === 0) this.#passing.delete(call.endpoint);
  }

  #serve(socket: Socket, intercepted: Intercepted | null): void {
    const connection = new Http1DownstreamConnection(
      socket,
      this.#context,
      this.#onClosed,
      intercepted,
      this.#partsPool,
    );
    if (socket instanceof AcceptedSocket) socket.lendTo(connection);
    this.#connections.add(connection);
  }

  readonly #onClosed = (closed: Http1DownstreamConnection): void => {
    this.#connections.delete(closed);
  };

  /** Those who are told hold a file each for a moment; what is past them is reset without a word. */
  #refuse(socket: Socket, code: keyof Listener["refusedConnections"]): void {
    this.refusedConnections[code]++;
    const told = Math.ceil(this.#context.limits.downstreamConnectionsMax / REFUSING_SHARE);
    if (this.#refusing >= Math.min(REFUSING_MAX, Math.max(1, told))) {
      socket.resetAndDestroy();
      return;
    }
    this.#refusing++;
    refuseConnection(socket, this.#context, code, () => {
      this.#refusing--;
    });
  }

  /** Waits until it is done, or the deadline of the drain is this near. */
  async #until(isDone: () => boolean, beforeEndMs: number): Promise<void> {
    while (!isDone() && performance.now() < this.#endAtMs - beforeEndMs) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }
}

/** How to stop. */
export interface DrainOptions {
  /** False where others listen on the same socket, or are to be able to: nobody new is let in. */
  readonly accepts?: boolean;
  /** The deadline from now on; `drainMs` by default. */
  readonly withinMs?: number;
}

/** What a listener asks of a connection, whatever it speaks. */
interface OpenConnection {
  /** Closes it if nothing is in progress on it; tells whether it was so. */
  closeIfIdle(): boolean;
  /** Cuts it off; tells whether anything was in progress. */
  destroy(): boolean;
}

/** Connections that the kernel may hold before they are accepted. */
const BACKLOG = 4_096;
const DRAIN_POLL_MS = 10;

/** Connections being refused at one time: enough to tell, too few to use up the files of the process. */
const REFUSING_MAX = 128;
const REFUSING_SHARE = 4;
