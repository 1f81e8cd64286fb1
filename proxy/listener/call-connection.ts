import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import type { Ticking } from "../../core/ticker.ts";
import type { Intercepted } from "../downstream/http1-connection.ts";
import type { ExchangeContext } from "../exchange/context.ts";
import { isOutsideCall } from "../exchange/outbound-call.ts";
import { resetSocket } from "../message/reset-socket.ts";
import { SocketEnd } from "../tunnel/socket-end.ts";
import { Tunnel } from "../tunnel/tunnel.ts";
import { judgeFirstBytes } from "./first-bytes.ts";

/**
 * A redirected call of the service, until it is known whether it speaks HTTP/1; what does not is
 * passed to where it was dialled, untouched, both ways.
 *
 * Before: listener/listener.ts. After: downstream/http1-connection.ts, or tunnel/tunnel.ts.
 * Invariants: what is passed goes where it was dialled and nowhere else; no byte is held beyond a
 * request line, but for what the kernel holds; what is begun as HTTP is never passed, however late it
 * begins, unless the other side has spoken first.
 * Once per connection.
 */
export class CallConnection implements Ticking {
  readonly #socket: Socket;
  readonly #context: ExchangeContext;
  readonly #intercepted: Intercepted;
  readonly #owner: CallConnectionOwner;
  /**
   * `listening`: the caller has not said yet what it speaks. `waiting`: nor does it for so long that
   * the other side may be the one to speak first; who does decides. `connecting`: it is passed.
   */
  #state: "listening" | "waiting" | "connecting" | "tunnel" | "over" = "listening";
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #upstream: Socket | null = null;
  #isConnected = false;
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
    if (!this.#isUndecided || this.#earlyBytes > 0) return false;
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
    if (this.#isUndecided && this.#earlyBytes > 0) this.#handOver();
    else if (this.#state === "listening") this.#wait();
    else this.#close();
  }

  get #isUndecided(): boolean {
    return this.#state === "listening" || this.#state === "waiting";
  }

  readonly #onData = (bytes: Buffer): void => {
    const { limits, ticker } = this.#context;
    if (this.#state === "waiting" && this.#earlyBytes === 0) {
      this.#deadlineAtMs = ticker.nowMs + limits.detectMs;
    }
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    const all = this.#early.length === 1 ? bytes : Buffer.concat(this.#early);
    this.#early = [all];
    const speech = judgeFirstBytes(all, limits.requestLineBytesMax);
    if (speech === "http") this.#handOver();
    else if (speech === "other") this.#pass("unreadable");
  };

  readonly #onEnd = (): void => {
    const [bytes = NOTHING] = this.#early;
    const speech = judgeFirstBytes(bytes, this.#context.limits.requestLineBytesMax, true);
    if (speech === "http") this.#handOver();
    else this.#pass("silent");
  };

  readonly #onCallerGone = (): void => {
    if (this.#isUndecided || this.#state === "connecting") this.#close();
  };

  /** From here on it is a connection like any other; it reads what came once more. */
  #handOver(): void {
    this.#upstream?.destroy();
    this.#over();
    this.#leaveSocket();
    this.#socket.pause();
    this.#socket.unshift(Buffer.concat(this.#early));
    this.#owner.speaksHttp(this.#socket, this.#intercepted);
    this.#socket.resume();
  }

  #leaveSocket(): void {
    this.#stopReading();
    this.#socket.off("error", this.#onCallerGone);
    this.#socket.off("close", this.#onCallerGone);
  }

  #stopReading(): void {
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
  }

  /** Who waits for the other side to speak first speaks no HTTP; who is only slow may still do. */
  #wait(): void {
    this.#state = "waiting";
    this.#connect();
  }

  #pass(why: PassedWhy): void {
    if (!this.#isUndecided) return;
    this.#state = "connecting";
    this.#owner.passes(why);
    this.#stopReading();
    if (this.#upstream === null) this.#connect();
    else if (this.#isConnected) this.#open(this.#upstream, []);
  }

  #connect(): void {
    const { limits, ticker } = this.#context;
    this.#deadlineAtMs = ticker.nowMs + limits.passConnectMs;
    this.#owner.connects(this);
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
    upstream.on("connect", () => this.#onConnected(upstream));
    upstream.on("error", () => {
      if (this.#isUndecided || this.#state === "connecting") this.#close();
    });
  }

  #onConnected(upstream: Socket): void {
    this.#isConnected = true;
    if (this.#state === "connecting") this.#open(upstream, []);
    if (this.#state !== "waiting") return;
    if (this.#earlyBytes === 0) {
      this.#deadlineAtMs = this.#context.ticker.nowMs + this.#context.limits.tunnelIdleMs;
    }
    upstream.on("data", this.#onSpoken);
    upstream.on("end", this.#onSpoken);
  }

  /** The other side has said something first, or that it says nothing. */
  readonly #onSpoken = (bytes?: Buffer): void => {
    if (this.#state !== "waiting" || this.#upstream === null) return;
    this.#stopReading();
    this.#owner.passes("silent");
    this.#open(this.#upstream, bytes === undefined ? [] : [bytes]);
  };

  /** `said` is what the other side has said already. */
  #open(upstream: Socket, said: readonly Buffer[]): void {
    this.#state = "tunnel";
    const { limits, ticker } = this.#context;
    ticker.delete(this);
    upstream.pause();
    upstream.off("data", this.#onSpoken);
    upstream.off("end", this.#onSpoken);
    const down = new SocketEnd(this.#socket, this.#early);
    new Tunnel(down, new SocketEnd(upstream, said), ticker, limits, () => this.#over());
  }

  /** As if the proxy were not there: who cannot be reached looks like one who refuses. */
  #close(): void {
    if (this.#state === "over") return;
    resetSocket(this.#socket);
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

const NOTHING = Buffer.alloc(0);

/** Why a call was passed untouched: its address is nobody's here, it waits, or it is no HTTP/1. */
export type PassedWhy = "outside" | "silent" | "unreadable";

/** Who keeps calls: the listener. */
export interface CallConnectionOwner {
  /** It opens a connection to where it was dialled. */
  connects(call: CallConnection): void;
  passes(why: PassedWhy): void;
  /** What was a call, and is over as one, speaks HTTP. */
  speaksHttp(socket: Socket, intercepted: Intercepted): void;
  callOver(call: CallConnection): void;
}

/** What leaves the cluster is read only where a tag has to be taken off it. */
function isPassedUnread({ outbound }: ExchangeContext, intercepted: Intercepted): boolean {
  if (outbound === null || outbound.stripsOutside) return false;
  return isOutsideCall(outbound, intercepted.intendedAddress.address, intercepted.baseline);
}
