import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import type { Ticking } from "../../core/ticker.ts";
import type { Intercepted } from "../downstream/http1-connection.ts";
import type { ExchangeContext } from "../exchange/context.ts";
import { isOutsideCall } from "../exchange/outbound-call.ts";
import { SocketEnd } from "../tunnel/socket-end.ts";
import { Tunnel } from "../tunnel/tunnel.ts";
import { judgeFirstBytes } from "./first-bytes.ts";

/**
 * A redirected call of the service, until it is known whether it speaks HTTP/1; what does not is
 * passed to where it was dialled, untouched, both ways.
 *
 * Before: listener/listener.ts. After: downstream/http1-connection.ts, or tunnel/tunnel.ts.
 * Invariants: what is passed goes where it was dialled and nowhere else; no byte is held beyond a
 * request line, but for what the kernel holds; what is begun as HTTP is never passed.
 * Once per connection.
 */
export class CallConnection implements Ticking {
  readonly #socket: Socket;
  readonly #context: ExchangeContext;
  readonly #intercepted: Intercepted;
  readonly #owner: CallConnectionOwner;
  #state: "listening" | "connecting" | "tunnel" | "over" = "listening";
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #upstream: Socket | null = null;
  #deadlineAtMs: number;

  constructor(
    socket: Socket,
    context: ExchangeContext,
    intercepted: Intercepted,
    owner: CallConnectionOwner,
  ) {
    this.#socket = socket;
    this.#context = context;
    this.#intercepted = intercepted;
    this.#owner = owner;
    this.#deadlineAtMs = context.ticker.nowMs + context.limits.detectMs;
    context.ticker.add(this);
    socket.on("error", this.#onCallerGone);
    socket.on("close", this.#onCallerGone);
    if (isPassedUnread(context, intercepted)) {
      this.#pass("outside");
      return;
    }
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  /** `host:port` that it was dialled to. */
  get endpoint(): string {
    return this.#intercepted.baseline;
  }

  /** The port that it goes on from, where it is passed; 0 otherwise. */
  get localPort(): number {
    return this.#upstream?.localPort ?? 0;
  }

  /** It cannot be told to close: nobody knows what it speaks. Idle is what has said nothing yet. */
  closeIfIdle(): boolean {
    if (this.#state !== "listening" || this.#earlyBytes > 0) return false;
    this.#close();
    return true;
  }

  /** Cuts it off. Tells whether there was anything. */
  destroy(): boolean {
    const isOpen = this.#state !== "over";
    this.#close();
    return isOpen;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#deadlineAtMs) return;
    if (this.#state === "connecting") this.#close();
    else if (this.#state === "listening" && this.#earlyBytes > 0) this.#handOver();
    // Who waits for the other side to speak first speaks no HTTP.
    else if (this.#state === "listening") this.#pass("silent");
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    const all = this.#early.length === 1 ? bytes : Buffer.concat(this.#early);
    this.#early = [all];
    const speech = judgeFirstBytes(all, this.#context.limits.requestLineBytesMax);
    if (speech === "http") this.#handOver();
    else if (speech === "other") this.#pass("unreadable");
  };

  readonly #onEnd = (): void => this.#pass("silent");

  readonly #onCallerGone = (): void => {
    if (this.#state === "listening" || this.#state === "connecting") this.#close();
  };

  /** From here on it is a connection like any other; it reads what came once more. */
  #handOver(): void {
    this.#state = "over";
    this.#context.ticker.delete(this);
    this.#leaveSocket();
    this.#socket.pause();
    this.#socket.unshift(Buffer.concat(this.#early));
    this.#owner.speaksHttp(this, this.#socket, this.#intercepted);
    this.#socket.resume();
  }

  #leaveSocket(): void {
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("error", this.#onCallerGone);
    this.#socket.off("close", this.#onCallerGone);
  }

  #pass(why: PassedWhy): void {
    if (this.#state !== "listening") return;
    this.#state = "connecting";
    this.#owner.passes(this, why);
    const { limits, ticker } = this.#context;
    this.#deadlineAtMs = ticker.nowMs + limits.passConnectMs;
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    const { address, port } = this.#intercepted.intendedAddress;
    const options: TcpNetConnectOpts & { highWaterMark: number } = {
      host: address,
      port,
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      highWaterMark: limits.bufferedBytesMax,
    };
    const upstream = connect(options);
    this.#upstream = upstream;
    upstream.on("connect", () => this.#open(upstream));
    upstream.on("error", () => {
      if (this.#state === "connecting") this.#close();
    });
  }

  #open(upstream: Socket): void {
    if (this.#state !== "connecting") return;
    this.#state = "tunnel";
    const { limits, ticker } = this.#context;
    ticker.delete(this);
    upstream.pause();
    const down = new SocketEnd(this.#socket, this.#early);
    new Tunnel(down, new SocketEnd(upstream, []), ticker, limits, () => this.#over());
  }

  /** As if the proxy were not there: who cannot be reached looks like one who refuses. */
  #close(): void {
    if (this.#state === "over") return;
    this.#socket.resetAndDestroy();
    this.#upstream?.destroy();
    this.#over();
  }

  #over(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#context.ticker.delete(this);
    this.#owner.callOver(this);
  }
}

/** Why a call was passed untouched: its address is nobody's here, it waits, or it is no HTTP/1. */
export type PassedWhy = "outside" | "silent" | "unreadable";

/** Who keeps calls: the listener. */
export interface CallConnectionOwner {
  passes(call: CallConnection, why: PassedWhy): void;
  speaksHttp(call: CallConnection, socket: Socket, intercepted: Intercepted): void;
  callOver(call: CallConnection): void;
}

/** What leaves the cluster is read only where a tag has to be taken off it. */
function isPassedUnread({ outbound }: ExchangeContext, intercepted: Intercepted): boolean {
  if (outbound === null || outbound.stripsOutside) return false;
  return isOutsideCall(outbound, intercepted.intendedAddress.address, intercepted.baseline);
}
