import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "../../core/address.ts";
import { Http1DownstreamConnection } from "../downstream/http1-connection.ts";
import { refuseConnection } from "../downstream/refuse-connection.ts";
import type { ExchangeContext } from "../exchange/context.ts";

/**
 * A bound port: takes connections up to the limit, refuses the rest fast, and drains on a stop.
 *
 * Before: proxy/proxy.ts. After: downstream/http1-connection.ts.
 * Invariant: those in progress are never harmed by those that are too many.
 */
export class Listener {
  readonly #context: ExchangeContext;
  readonly #server: Server;
  readonly #connections = new Set<Http1DownstreamConnection>();
  /** Connections refused because there were too many. */
  refusedConnections = 0;

  constructor(context: ExchangeContext) {
    this.#context = context;
    this.#server = createServer(
      { noDelay: true, allowHalfOpen: true, highWaterMark: context.limits.bufferedBytesMax },
      (socket) => this.#accept(socket),
    );
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Binds; rejects with the system's error (`EADDRINUSE`, `EACCES`) if that cannot be done. */
  async listen(address: Address): Promise<Address> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
        this.#server.removeListener("error", reject);
        // Out of file descriptors, for example: who is connected goes on being served.
        this.#server.on("error", () => undefined);
        resolve();
      });
    });
    const bound = this.#server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
    return { host: address.host, port };
  }

  /**
   * Stops: goes on accepting for `drainAcceptMs` while callers are told to close, then no more;
   * idle connections are closed, others finish; what is left after `drainMs` is cut off.
   * Resolves with the number of connections that were cut off.
   */
  async drain(): Promise<number> {
    const { limits } = this.#context;
    const startedAtMs = performance.now();
    this.#context.isDraining = true;
    // Whoever has not heard yet that this address is going away still gets an answer.
    await new Promise((resolve) => setTimeout(resolve, limits.drainAcceptMs));
    this.#server.close();
    for (const connection of this.#connections) connection.drain();
    const leftMs = limits.drainMs - (performance.now() - startedAtMs);
    await this.#until(() => this.#connections.size === 0, leftMs);
    const cutOff = this.#connections.size;
    for (const connection of [...this.#connections]) connection.destroy();
    return cutOff;
  }

  /** Stops at once, without a word. */
  close(): void {
    this.#server.close();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #accept(socket: Socket): void {
    // Reset while it waited to be accepted. Its bytes can be read, but not whose they are: a tag
    // would not be believed, and the request would go to the baseline as if it had none.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#context.limits.downstreamConnectionsMax) {
      this.refusedConnections++;
      refuseConnection(socket, this.#context);
      return;
    }
    this.#connections.add(
      new Http1DownstreamConnection(socket, this.#context, (closed) => {
        this.#connections.delete(closed);
      }),
    );
  }

  async #until(isDone: () => boolean, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isDone() && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }
}

/** Connections that the kernel may hold before they are accepted. */
const BACKLOG = 4_096;
const DRAIN_POLL_MS = 10;
