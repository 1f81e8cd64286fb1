import type { Socket } from "node:net";
import { resetSocket } from "../message/reset-socket.ts";
import { socketFlow } from "../message/socket-flow.ts";
import { FLOW, type Flow, type TunnelEnd, type TunnelListener } from "../message/stream.ts";

/**
 * A socket that never spoke HTTP as an end of a tunnel.
 *
 * Before: listener/call-connection.ts. After: tunnel/tunnel.ts.
 * Invariant: what was read before the tunnel was there is delivered first, its end included.
 */
export class SocketEnd implements TunnelEnd {
  readonly #socket: Socket;
  readonly #early: readonly Buffer[];
  #listener: TunnelListener | null = null;
  #isStarted = false;
  #isBlocked = false;

  /** The socket is paused, was opened with `allowHalfOpen`, and its `error` is listened to. */
  constructor(socket: Socket, early: readonly Buffer[]) {
    this.#socket = socket;
    this.#early = early;
  }

  listen(listener: TunnelListener): void {
    this.#listener = listener;
    this.#socket.on("end", () => listener.onEnd());
    this.#socket.on("close", () => listener.onClose());
    this.#socket.on("drain", () => {
      if (!this.#isBlocked) return;
      this.#isBlocked = false;
      listener.onFlowing();
    });
  }

  write(bytes: Buffer): Flow {
    this.#socket.write(bytes);
    const flow = socketFlow(this.#socket);
    if (flow === FLOW.BLOCKED) this.#isBlocked = true;
    return flow;
  }

  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isStarted) this.#start();
    else this.#socket.resume();
  }

  abort(): void {
    // An orderly end would look as if all had been said.
    resetSocket(this.#socket);
  }

  /** What came early goes first; if the other end has enough by then, the rest waits unread. */
  #start(): void {
    this.#isStarted = true;
    this.#socket.on("data", (bytes: Buffer) => void this.#listener?.onBytes(bytes));
    this.#socket.resume();
    for (const bytes of this.#early) this.#listener?.onBytes(bytes);
    if (this.#socket.readableEnded) this.#listener?.onEnd();
  }
}
