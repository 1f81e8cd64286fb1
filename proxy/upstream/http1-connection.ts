import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import type { Address } from "../../core/address.ts";
import { invariant, type OnBug } from "../../core/invariant.ts";
import type { Ticker, Ticking } from "../../core/ticker.ts";
import type { FaultCode } from "../fault.ts";
import { BodyDecoder, type BodyReceiver } from "../http1/decode-body.ts";
import { encodeRequestHead } from "../http1/encode-head.ts";
import { frameResponse } from "../http1/framing.ts";
import { Http1ResponseHead } from "../http1/head.ts";
import { type HeadReader, responseHeadReader } from "../http1/head-reader.ts";
import { MessageWriter } from "../http1/message-writer.ts";
import { COMPLETE, INCOMPLETE } from "../http1/parse-head.ts";
import type { Limits } from "../limits.ts";
import { CONNECTION_OPTIONS_MAX, connectionOptions } from "../message/connection-options.ts";
import type { Trailers } from "../message/field-list.ts";
import { BODY_UNSIZED, type RequestHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { resetSocket } from "../message/reset-socket.ts";
import {
  FLOW,
  type Flow,
  type ResponseListener,
  type TunnelEnd,
  type TunnelListener,
  type UpstreamStream,
} from "../message/stream.ts";

/**
 * One HTTP/1.1 connection to an upstream: one exchange after another, read by read.
 *
 * Before: upstream/pool.ts. After: http1/parse-head.ts for what comes back.
 * Invariant: the read buffer is used again only when nobody refers to bytes of the read before; otherwise
 * the next read gets another buffer. A byte that nobody asked for closes it; so does
 * a bug of ours, with the exchange that it carries and no other one.
 * Hot path. The buffer is small until a read fills it: most responses are, and connections are many.
 */
export class Http1UpstreamConnection implements UpstreamStream, TunnelEnd, BodyReceiver, Ticking {
  readonly endpoint: string;
  readonly #owner: UpstreamConnectionOwner;
  readonly #limits: Limits;
  readonly #ticker: Ticker;
  readonly #socket: Socket;
  readonly #writer: MessageWriter;
  readonly #reader: HeadReader<Http1ResponseHead>;
  readonly #decoder: BodyDecoder;
  #state: "connecting" | "idle" | "busy" | "tunnel" | "closed" = "connecting";
  #listener: ResponseListener | null = null;
  #tunnel: TunnelListener | null = null;
  #readBuffer: Buffer;
  #isOverdue = false;
  #isPaused = false;
  /** Of the exchange in progress. */
  #isHeadRequest = false;
  #requestEnded = false;
  #readsBody = false;
  /** Whether the response allows another exchange behind it. */
  #isPersistent = false;
  /** When the response's head has to be there; 0 if it may take its time. */
  #responseDueAtMs = 0;
  /** When a head that was begun has to be whole; 0 if none is. */
  #headDueAtMs = 0;
  #interimResponses = 0;
  #bodyEnded = false;
  #trailers: Trailers | null = null;
  isReused = false;
  hasResponseBytes = false;
  /** Time after which it does not count as idle any more, and since when it has been idle. */
  #deadlineAtMs: number;
  #idleMaxMs: number;
  idleSinceMs = 0;
  /** Set when its endpoint left the table: not used again. */
  isRetired = false;

  constructor(
    endpoint: string,
    address: Address,
    connectMs: number,
    owner: UpstreamConnectionOwner,
    limits: Limits,
    ticker: Ticker,
  ) {
    this.endpoint = endpoint;
    this.#owner = owner;
    this.#limits = limits;
    this.#ticker = ticker;
    this.#reader = responseHeadReader(new Http1ResponseHead(), limits);
    this.#decoder = new BodyDecoder(limits);
    this.#idleMaxMs = limits.upstreamIdleMs;
    this.#deadlineAtMs = ticker.now() + connectMs;
    this.#readBuffer = this.#newBuffer(SMALL_READ_BYTES);
    const options: TcpNetConnectOpts & { highWaterMark: number } = {
      host: address.host,
      port: address.port,
      noDelay: true,
      // A service may take its time with an answer; one whose machine is gone never gives it.
      keepAlive: true,
      keepAliveInitialDelay: limits.peerProbeMs,
      allowHalfOpen: true,
      highWaterMark: limits.bufferedBytesMax,
      onread: {
        buffer: () => this.#readBuffer,
        callback: (count: number, bytes: Uint8Array) => this.#onReadSafely(bytes as Buffer, count),
      },
    };
    this.#socket = connect(options);
    this.#writer = new MessageWriter(this.#socket, this);
    this.#socket.on("connect", () => this.#react("connect"));
    this.#socket.on("end", () => this.#react("end"));
    this.#socket.on("drain", () => this.#react("drain"));
    this.#socket.on("error", (error) => this.#react("error", error));
    this.#socket.on("close", () => this.#react("close"));
    ticker.add(this);
  }

  /** The port that it comes from; 0 before the kernel has chosen one. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get isIdle(): boolean {
    return this.#state === "idle";
  }

  /** Binds the connection to one exchange, until its response ends. */
  begin(listener: ResponseListener): void {
    invariant(this.#state === "idle", "an upstream connection serves one exchange at a time");
    this.#state = "busy";
    this.#listener = listener;
    this.#requestEnded = false;
    this.#readsBody = false;
    this.#bodyEnded = false;
    this.#interimResponses = 0;
    this.hasResponseBytes = false;
    this.#responseDueAtMs = 0;
    this.#headDueAtMs = 0;
    this.#deadlineAtMs = 0;
  }

  sendHead(head: RequestHead, edit: HeadEdit): void {
    this.#isHeadRequest = head.method === "HEAD";
    const sendsChunks = head.hasBody && head.bodyBytes === BODY_UNSIZED;
    encodeRequestHead(head, edit, this.#writer.head(sendsChunks));
  }

  sendBody(bytes: Buffer): void {
    if (this.#state === "busy") this.#writer.body(bytes);
  }

  sendEnd(trailers: Trailers | null): void {
    if (this.#state !== "busy") return;
    this.#requestEnded = true;
    this.#writer.end(trailers);
    const { responseMs } = this.#limits;
    if (responseMs > 0) this.#responseDueAtMs = this.#ticker.nowMs + responseMs;
    this.#expectProgress();
  }

  flush(): Flow {
    const flow = this.#writer.flush();
    if (flow === FLOW.BLOCKED) this.#expectProgress();
    return flow;
  }

  pauseResponse(): void {
    this.#isPaused = true;
    this.#expectProgress();
    this.#socket.pause();
  }

  resumeResponse(): void {
    this.#isPaused = false;
    this.#expectProgress();
    this.#socket.resume();
  }

  abort(): void {
    this.#listener = null;
    this.#tunnel = null;
    // An orderly end of a tunnel would look as if all had been said.
    if (this.#state === "tunnel") resetSocket(this.#socket);
    this.#close();
  }

  /** The connection is idle and wanted no more. */
  retire(): void {
    this.isRetired = true;
    if (this.#state === "idle") this.#close();
  }

  tick(nowMs: number): void {
    if (this.#deadlineAtMs === 0 || nowMs < this.#deadlineAtMs) return;
    if (this.#state === "connecting" && !this.#isOverdue) {
      // Seen once: the connection may be there, and this process too busy to have noticed.
      this.#isOverdue = true;
      return;
    }
    this.#deadlineAtMs = 0;
    this.#react("tick");
  }

  #onDeadline(): void {
    if (this.#state === "connecting") this.#lose("connect-timeout");
    else if (this.#state === "idle") this.#close();
    else if (this.#state === "busy") this.#lose("upstream-timeout");
  }

  // --- the tunnel after a 101 response

  openTunnel(): TunnelEnd {
    this.#state = "tunnel";
    this.#listener = null;
    this.#deadlineAtMs = 0;
    return this;
  }

  listen(listener: TunnelListener): void {
    this.#tunnel = listener;
  }

  write(bytes: Buffer): Flow {
    return this.#writer.opaque(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  // --- what the socket says

  #react(event: "connect" | "end" | "drain" | "error" | "close" | "tick", error?: Error): void {
    try {
      if (event === "drain") this.#onDrain();
      else if (event === "connect") this.#onConnect();
      else if (event === "end") this.#onEnd();
      else if (event === "error") this.#onError(error as NodeJS.ErrnoException);
      else if (event === "close") this.#lose("upstream-closed");
      else this.#onDeadline();
    } catch (bug) {
      this.#breakOff(bug);
    }
  }

  #onReadSafely(bytes: Buffer, count: number): boolean {
    try {
      return this.#onRead(bytes, count);
    } catch (bug) {
      this.#breakOff(bug);
      return false;
    }
  }

  onWriterBug(bug: unknown): void {
    this.#breakOff(bug);
  }

  #breakOff(bug: unknown): void {
    const listener = this.#listener;
    const tunnel = this.#tunnel;
    this.abort();
    listener?.abandon();
    tunnel?.onClose();
    this.#owner.onBug(bug);
  }

  #onConnect(): void {
    if (this.#state !== "connecting") return;
    this.#becomeIdle();
    this.#owner.onConnected(this);
  }

  /** One read. Returns whether to go on reading. */
  #onRead(bytes: Buffer, count: number): boolean {
    let flow: Flow = FLOW.FLUSHED;
    const isFirst = !this.hasResponseBytes;
    if (this.#state === "busy" && this.#writer.isHeadWaiting) {
      // It has no byte of the request: this is no answer to it.
      this.#lose("upstream-closed");
    } else if (this.#state === "busy") {
      flow = this.#readResponse(bytes, count);
      this.#expectProgress();
    } else if (this.#state === "tunnel") {
      flow = this.#tunnel?.onBytes(bytes.subarray(0, count)) ?? FLOW.FLUSHED;
    } else this.#close();
    this.#chooseBuffer(count, isFirst && this.#bodyEnded, flow);
    return !this.#isPaused;
  }

  /** For the next read; `isWhole`: this one brought a whole response. */
  #chooseBuffer(count: number, isWhole: boolean, flow: Flow): void {
    const { length } = this.#readBuffer;
    if (count === length && length < this.#limits.readBufferBytes) {
      this.#readBuffer = this.#newBuffer(this.#limits.readBufferBytes);
    } else if (isWhole && length > SMALL_READ_BYTES && count < SMALL_READ_BYTES) {
      this.#readBuffer = this.#newBuffer(SMALL_READ_BYTES);
    } else if (flow !== FLOW.FLUSHED) this.#readBuffer = this.#newBuffer(length);
  }

  #newBuffer(bytes: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(bytes, this.#limits.readBufferBytes));
  }

  #readResponse(bytes: Buffer, count: number): Flow {
    this.hasResponseBytes = true;
    let at = 0;
    while (at < count) {
      const next = this.#readsBody
        ? this.#readBody(bytes, at, count)
        : this.#readHead(bytes, at, count);
      if (next < 0) return FLOW.FLUSHED;
      at = next;
      if (this.#state === "tunnel") {
        if (at < count) this.#tunnel?.onBytes(bytes.subarray(at, count));
        // Interim heads of the same read may still wait in the caller's queue.
        return FLOW.HELD;
      }
      if (this.#bodyEnded) return this.#complete(at === count);
    }
    return this.#listener?.onResponseBatch() ?? FLOW.FLUSHED;
  }

  /** Parses on; returns the offset behind what was used, or -1 when the connection is lost. */
  #readHead(bytes: Buffer, start: number, end: number): number {
    const outcome = this.#reader.read(bytes, start, end);
    if (outcome === INCOMPLETE) {
      if (this.#headDueAtMs === 0) {
        this.#headDueAtMs = this.#ticker.nowMs + this.#limits.headTimeoutMs;
      }
      return end;
    }
    this.#headDueAtMs = 0;
    if (outcome !== COMPLETE) return this.#loseBy(outcome);
    return this.#takeHead(this.#reader.head) ? this.#reader.next : -1;
  }

  /** Tells the exchange of a complete head; false when the connection is lost by it. */
  #takeHead(head: Http1ResponseHead): boolean {
    const listener = this.#listener;
    const fault = frameResponse(head, this.#isHeadRequest);
    if (fault !== null || listener === null) return this.#loseBy(fault ?? "upstream-malformed") > 0;
    if (head.status === 101) {
      listener.onSwitchingHead(head);
    } else if (head.status < 200) {
      if (++this.#interimResponses > this.#limits.interimResponsesMax) {
        return this.#loseBy("upstream-head-too-large") > 0;
      }
      listener.onInterimHead(head);
    } else {
      this.#decoder.begin(head);
      this.#readsBody = true;
      // Now, since the bytes of the head are written over by those of the body.
      this.#isPersistent = this.#readPersistence(head);
      this.#bodyEnded = this.#decoder.isDone;
      this.#trailers = null;
      listener.onResponseHead(head);
    }
    return this.#state === "busy" || this.#state === "tunnel";
  }

  #readBody(bytes: Buffer, start: number, end: number): number {
    const next = this.#decoder.decode(bytes, start, end, this);
    if (typeof next === "string") return this.#loseBy(next);
    return this.#state === "busy" ? next : -1;
  }

  onBody(bytes: Buffer): void {
    this.#listener?.onResponseBody(bytes);
  }

  onBodyEnd(trailers: Trailers | null): void {
    this.#bodyEnded = true;
    this.#trailers = trailers;
  }

  /** The response is whole: back to the pool, unless a byte or the request is left over. */
  #complete(isClean: boolean): Flow {
    const listener = this.#listener;
    this.#listener = null;
    // What was not read of this request would stand before the next one.
    const isSent =
      this.#requestEnded && !this.#writer.isWaiting && this.#socket.writableLength === 0;
    const reusable = isClean && isSent && this.#isPersistent && !this.isRetired;
    if (this.#isPaused) this.resumeResponse();
    if (reusable) {
      this.isReused = true;
      this.#becomeIdle();
    } else this.#close();
    const trailers = this.#trailers;
    if (reusable) this.#owner.onIdle(this);
    return this.#tellEnd(listener, trailers);
  }

  /** By now the connection may carry the next exchange: what goes wrong here is not that one's. */
  #tellEnd(listener: ResponseListener | null, trailers: Trailers | null): Flow {
    try {
      return listener?.onResponseEnd(trailers) ?? FLOW.FLUSHED;
    } catch (bug) {
      listener?.abandon();
      this.#owner.onBug(bug);
      return FLOW.HELD;
    }
  }

  /** RFC 9112 section 9.3; a keep-alive of HTTP/1.0 is not relied on. */
  #readPersistence(head: Http1ResponseHead): boolean {
    if (head.minorVersion === 0 || this.#decoder.endsWithConnection) return false;
    this.#idleMaxMs = this.#limits.upstreamIdleMs;
    const options = connectionOptions(head);
    const announced = head.findKnown(FIELD.KEEP_ALIVE, 0);
    if (announced >= 0) this.#idleMaxMs = idleFrom(head.value(announced), this.#idleMaxMs);
    // Past the limit there may be another `close`.
    const mayGoOn = options.length <= CONNECTION_OPTIONS_MAX && !options.includes("close");
    return mayGoOn && this.#idleMaxMs > 0;
  }

  #onEnd(): void {
    if (this.#state === "tunnel") this.#tunnel?.onEnd();
    else if (this.#state === "busy" && this.#readsBody && this.#decoder.endsWithConnection) {
      this.#decoder.finish();
      this.#requestEnded = false;
      this.#complete(false);
    } else if (this.#state === "busy") this.#lose("upstream-closed");
    else this.#close();
  }

  #onDrain(): void {
    if (!this.#writer.drained()) return;
    this.#expectProgress();
    this.#listener?.onUpstreamFlowing();
    this.#tunnel?.onFlowing();
  }

  #onError(error: NodeJS.ErrnoException): void {
    const isTimeout = error.code === "ETIMEDOUT";
    if (this.#state === "connecting") this.#lose(isTimeout ? "connect-timeout" : "connect-refused");
    else this.#lose("upstream-closed");
  }

  #loseBy(fault: FaultCode): -1 {
    const isSize =
      fault === "head-too-large" || fault === "target-too-long" || fault === "trailers-too-large";
    const code =
      isSize || fault === "upstream-head-too-large"
        ? "upstream-head-too-large"
        : "upstream-malformed";
    this.#lose(code);
    return -1;
  }

  /** The end of the connection, told to whoever waits for it. */
  #lose(code: FaultCode): void {
    const state = this.#state;
    const listener = this.#listener;
    const tunnel = this.#tunnel;
    if (state === "closed") return;
    if (state === "connecting") this.#owner.onConnectFault(this, code);
    this.abort();
    listener?.onUpstreamFault(code);
    tunnel?.onClose();
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#ticker.delete(this);
    this.#writer.dropWaiting();
    // A reset where bytes are lost anyway: the kernel would keep its part for a service that reads none.
    if (this.#socket.writableLength > 0) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
    this.#owner.onClosed(this);
  }

  #becomeIdle(): void {
    this.#state = "idle";
    this.idleSinceMs = this.#ticker.nowMs;
    this.#deadlineAtMs = this.idleSinceMs + this.#idleMaxMs;
  }

  /** Sets the deadline of what the upstream has to do next: read, send its body, or answer. */
  #expectProgress(): void {
    if (this.#state !== "busy") return;
    const isUpstreamsTurn = this.#writer.isBlocked || (this.#readsBody && !this.#isPaused);
    if (isUpstreamsTurn) this.#deadlineAtMs = this.#ticker.nowMs + this.#limits.bodyIdleMs;
    else this.#deadlineAtMs = this.#readsBody ? 0 : this.#headDeadline();
  }

  /** The earlier of two, where there are two; while we read nothing a head that was begun may wait. */
  #headDeadline(): number {
    const headDueAtMs = this.#isPaused ? 0 : this.#headDueAtMs;
    if (headDueAtMs === 0 || this.#responseDueAtMs === 0)
      return headDueAtMs || this.#responseDueAtMs;
    return Math.min(headDueAtMs, this.#responseDueAtMs);
  }
}

/** Who keeps upstream connections: the pool. */
export interface UpstreamConnectionOwner {
  onConnected(connection: Http1UpstreamConnection): void;
  onConnectFault(connection: Http1UpstreamConnection, code: FaultCode): void;
  onIdle(connection: Http1UpstreamConnection): void;
  onClosed(connection: Http1UpstreamConnection): void;
  /** The connection is closed. */
  readonly onBug: OnBug;
}

/** Room for one read until a response fills it. */
const SMALL_READ_BYTES = 8 * 1024;

/** How much earlier than announced a connection is given up, in milliseconds. */
const ANNOUNCED_IDLE_MARGIN_MS = 500;

/** `Keep-Alive: timeout=N` in seconds (RFC 2068 section 19.7.1): less than that, at most ours. */
function idleFrom(value: string, oursMs: number): number {
  const match = /(?:^|[,\s])timeout=([0-9]{1,6})/i.exec(value);
  if (match === null) return oursMs;
  return Math.min(oursMs, Math.max(0, Number(match[1]) * 1000 - ANNOUNCED_IDLE_MARGIN_MS));
}
