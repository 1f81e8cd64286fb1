import type { Socket } from "node:net";
import type { Ticking } from "../../core/ticker.ts";
import type { ExchangeContext } from "../exchange/context.ts";
import { Exchange } from "../exchange/exchange.ts";
import type { FaultCode } from "../fault.ts";
import type { BodyReceiver } from "../http1/decode-body.ts";
import { encodeResponseHead } from "../http1/encode-head.ts";
import { frameRequest } from "../http1/framing.ts";
import type { Http1RequestHead } from "../http1/head.ts";
import { MessageWriter } from "../http1/message-writer.ts";
import { COMPLETE, INCOMPLETE } from "../http1/parse-head.ts";
import { connectionOptions } from "../message/connection-options.ts";
import { MadeFields, type Trailers } from "../message/field-list.ts";
import { GrowingBytes } from "../message/growing-bytes.ts";
import { BODY_UNSIZED, type RequestHead, type ResponseHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { resetSocket } from "../message/reset-socket.ts";
import {
  type DownstreamStream,
  FLOW,
  type Flow,
  type IntendedAddress,
  type TunnelEnd,
  type TunnelListener,
} from "../message/stream.ts";
import type { MessageParts, MessagePartsPool } from "./message-parts.ts";

/**
 * One HTTP/1.1 connection from a caller: one exchange after another, pipelined ones in order.
 *
 * Before: listener/listener.ts. After: http1/parse-head.ts, then exchange/exchange.ts.
 * Invariants: the next head is parsed only when the exchange before it is over; a response that
 * could not be finished never looks complete; after a fault the connection is closed; so it is after
 * a bug of ours, and no other one.
 * What is read here is not written to again before the connection is idle: exchanges may keep it.
 * Hot path.
 */
export class Http1DownstreamConnection
  implements DownstreamStream, TunnelEnd, BodyReceiver, Ticking
{
  readonly #context: ExchangeContext;
  readonly #socket: Socket;
  readonly #writer: MessageWriter;
  readonly #onClosed: (connection: Http1DownstreamConnection) => void;
  readonly #partsPool: MessagePartsPool;
  /** Null between two messages. */
  #parts: MessageParts | null = null;
  readonly address: string;
  readonly intendedAddress: IntendedAddress | null;
  readonly baseline: string;
  readonly protocol = "http/1.1";
  head: RequestHead = UNREADABLE_HEAD;
  /**
   * `head`: waits for a request. `exchange`: one is in progress. `discard`: it is answered, its
   * body still comes. `closing`: the last answer is on its way. */
  #state: "head" | "exchange" | "discard" | "closing" | "tunnel" | "closed" = "head";
  #exchange: Exchange | null = null;
  #tunnel: TunnelListener | null = null;
  /** Read, not looked at yet: pipelined requests, or what comes before a tunnel opens. */
  #unread: GrowingBytes | null = null;
  #isReading = false;
  #isPaused = false;
  #keepsAlive = true;
  #requestEnded = false;
  #sendsChunks = false;
  #sendsUntilClose = false;
  #discardedBytes = 0;
  #deadlineAtMs: number;
  /** When the exchange in progress has to be over; 0 if it may take its time. */
  #exchangeDueAtMs = 0;

  constructor(
    socket: Socket,
    context: ExchangeContext,
    onClosed: (connection: Http1DownstreamConnection) => void,
    intercepted: Intercepted | null,
    partsPool: MessagePartsPool,
  ) {
    this.#socket = socket;
    this.#partsPool = partsPool;
    this.#writer = new MessageWriter(socket, this);
    this.#context = context;
    this.#onClosed = onClosed;
    this.address = socket.remoteAddress ?? "";
    this.intendedAddress = intercepted?.intendedAddress ?? null;
    this.baseline = intercepted?.baseline ?? context.upstream;
    this.#deadlineAtMs = context.ticker.nowMs + context.limits.downstreamIdleMs;
    socket.on("data", (bytes: Buffer) => this.#react("data", bytes));
    socket.on("end", () => this.#react("end"));
    socket.on("drain", () => this.#react("drain"));
    socket.on("error", () => this.#react("close"));
    socket.on("close", () => this.#react("close"));
    context.ticker.add(this);
  }

  /** Whether no exchange is in progress and no byte of one has arrived. */
  get isIdle(): boolean {
    return this.#state === "head" && !this.#isHeadBegun && this.#unread === null;
  }

  get requestEdit(): HeadEdit {
    return this.#message.requestEdit;
  }

  get responseEdit(): HeadEdit {
    return this.#message.responseEdit;
  }

  get #message(): MessageParts {
    this.#parts ??= this.#partsPool.take();
    return this.#parts;
  }

  get #isHeadBegun(): boolean {
    return this.#parts?.reader.isBeyondEmptyLine === true;
  }

  /** Between two messages nothing is held of either. */
  #letGoIfIdle(): void {
    if (this.#parts === null || !this.isIdle || this.#parts.reader.isBegun) return;
    this.head = UNREADABLE_HEAD;
    this.#partsPool.giveBack(this.#parts);
    this.#parts = null;
  }

  // --- what the socket says

  #react(event: Event, bytes: Buffer | null = null): void {
    try {
      if (event === "data") this.#onData(bytes as Buffer);
      else if (event === "drain") this.#onDrain();
      else if (event === "end") this.#onEnd();
      else if (event === "close") this.#onClose();
      else if (event === "tick") this.#onDeadline();
      else if (event === "overdue") this.#onOverdue();
      else this.#onCutOff();
    } catch (error) {
      this.#breakOff(error);
    }
  }

  onWriterBug(bug: unknown): void {
    this.#breakOff(bug);
  }

  #breakOff(bug: unknown): void {
    const exchange = this.#exchange;
    const tunnel = this.#tunnel;
    this.#exchange = null;
    exchange?.abandon();
    this.#close();
    tunnel?.onClose();
    this.#context.onBug(bug);
  }

  #onData(bytes: Buffer): void {
    if (this.#state === "tunnel") {
      this.#tunnel?.onBytes(bytes);
      return;
    }
    if (this.#unread !== null || this.#isWaiting()) {
      this.#putAside(bytes);
      return;
    }
    this.#read(bytes);
  }

  /**
   * Room for a read, that of the message in progress or of the next one: it is used again when the
   * connection is idle. What a tunnel passes on has no such end.
   */
  roomFor(bytes: number): Buffer | null {
    const isMessage =
      this.#state === "head" || this.#state === "exchange" || this.#state === "discard";
    return isMessage ? this.#message.memory.roomFor(bytes) : null;
  }

  /** In the middle of content that nobody keeps: it passes as it is read, without a copy. */
  get takesLent(): boolean {
    if (this.#state === "tunnel") return this.#tunnel !== null;
    return this.#state === "exchange" && !this.#requestEnded && this.#exchange?.keepsBody === false;
  }

  /** Takes bytes that are not this connection's to keep (listener/accept-in-place.ts). */
  onLent(bytes: Buffer): Flow {
    try {
      return this.#onLent(bytes);
    } catch (error) {
      this.#breakOff(error);
      return FLOW.HELD;
    }
  }

  #onLent(bytes: Buffer): Flow {
    if (this.#state === "tunnel") return this.#tunnel?.onBytes(bytes) ?? FLOW.FLUSHED;
    this.#isReading = true;
    const next = this.#readBody(bytes, 0);
    this.#isReading = false;
    const flow = this.#exchange?.onRequestBatch() ?? FLOW.FLUSHED;
    if (next < bytes.length) this.#onData(Buffer.from(bytes.subarray(next)));
    return flow;
  }

  /**
   * What comes now belongs to the next exchange: the one in progress waits for its response, or
   * the caller takes none of the responses that it has (or they would pile up here).
   */
  #isWaiting(): boolean {
    if (this.#state === "exchange") return this.#requestEnded;
    return this.#state === "head" && this.#writer.isBlocked;
  }

  #putAside(bytes: Buffer): void {
    if (this.#unread === null) this.#unread = new GrowingBytes(Number.POSITIVE_INFINITY, bytes);
    else this.#unread.add(bytes, 0, bytes.length);
    if (!this.#holdsTooMuch()) return;
    this.#isPaused = true;
    this.#socket.pause();
    this.#expectProgress();
  }

  #takeUnread(): Buffer | null {
    const unread = this.#unread;
    this.#unread = null;
    return unread === null ? null : unread.room.subarray(0, unread.length);
  }

  #holdsTooMuch(): boolean {
    const unreadBytes = this.#unread?.length ?? 0;
    return unreadBytes > this.#context.limits.bufferedBytesMax;
  }

  /** Takes bytes apart into heads and bodies, for as long as nothing has to be waited for. */
  #read(bytes: Buffer): void {
    this.#isReading = true;
    let at = 0;
    while (at < bytes.length && this.#state !== "closed" && this.#state !== "closing") {
      if (this.#isWaiting()) {
        this.#putAside(at === 0 ? bytes : bytes.subarray(at));
        break;
      }
      at = this.#state === "head" ? this.#readHead(bytes, at) : this.#readBody(bytes, at);
    }
    this.#isReading = false;
    this.#exchange?.onRequestBatch();
    this.#letGoIfIdle();
  }

  #readHead(bytes: Buffer, start: number): number {
    const { limits, ticker } = this.#context;
    const { reader } = this.#message;
    const wasBegun = reader.isBeyondEmptyLine;
    const outcome = reader.read(bytes, start, bytes.length);
    if (outcome === INCOMPLETE) {
      if (!wasBegun && reader.isBeyondEmptyLine) {
        this.#deadlineAtMs = ticker.nowMs + limits.headTimeoutMs;
      }
      return bytes.length;
    }
    const { next } = reader;
    const fault = outcome === COMPLETE ? frameRequest(reader.head) : outcome;
    if (fault !== null) {
      this.#refuse(fault);
      return bytes.length;
    }
    this.#beginExchange();
    return next;
  }

  #beginExchange(): void {
    const { decoder, reader } = this.#message;
    const { head } = reader;
    this.#startMessage(head);
    this.#keepsAlive = wantsKeepAlive(head);
    decoder.begin(head);
    this.#requestEnded = decoder.isDone;
    this.#expectProgress();
    const { limits, ticker } = this.#context;
    if (limits.exchangeMs > 0) this.#exchangeDueAtMs = ticker.nowMs + limits.exchangeMs;
    const exchange = new Exchange(this.#context, this);
    this.#exchange = exchange;
    if (this.#requestEnded) exchange.onRequestEnd(null);
    exchange.begin();
  }

  /** Answers what is no request, and reads no further. */
  #refuse(fault: FaultCode): void {
    const { reader } = this.#message;
    const isToHead = reader.hasStartLine && reader.head.isMethod("HEAD");
    this.#startMessage(isToHead ? UNREADABLE_TO_HEAD : UNREADABLE_HEAD);
    this.#keepsAlive = false;
    this.#requestEnded = true;
    this.#exchange = new Exchange(this.#context, this);
    this.#exchange.refuse(fault);
  }

  #startMessage(head: RequestHead): void {
    this.head = head;
    this.#state = "exchange";
    this.#sendsChunks = false;
    this.#sendsUntilClose = false;
    this.#discardedBytes = 0;
    this.requestEdit.reset();
    this.responseEdit.reset();
  }

  #readBody(bytes: Buffer, start: number): number {
    if (this.#state === "exchange") this.#expectProgress();
    const next = this.#message.decoder.decode(bytes, start, bytes.length, this);
    if (typeof next === "number") return next;
    if (this.#state !== "discard") this.#breakExchange(next);
    else {
      this.#context.onLateFault(next);
      this.#closeGently();
    }
    return bytes.length;
  }

  onBody(bytes: Buffer): void {
    if (this.#state === "exchange") this.#exchange?.onRequestBody(bytes);
    else this.#discard(bytes.length);
  }

  onBodyEnd(trailers: Trailers | null): void {
    this.#requestEnded = true;
    if (this.#state === "exchange") {
      this.#expectProgress();
      this.#exchange?.onRequestEnd(trailers);
    } else if (this.#state === "discard") this.#nextMessage();
  }

  #discard(bytes: number): void {
    this.#discardedBytes += bytes;
    if (this.#discardedBytes > this.#context.limits.drainedBodyBytesMax) this.#closeGently();
  }

  #onEnd(): void {
    if (this.#state === "tunnel") this.#tunnel?.onEnd();
    else if (this.#state === "exchange") this.#exchange?.onDownstreamFault("downstream-closed");
    else {
      this.#closeGently();
      this.#destroyAfterFlush();
    }
  }

  #onClose(): void {
    const tunnel = this.#tunnel;
    const exchange = this.#exchange;
    if (this.#state === "closed") return;
    const wasExchange = this.#state === "exchange";
    this.#close();
    tunnel?.onClose();
    if (wasExchange) exchange?.onDownstreamFault("downstream-closed");
  }

  #onCutOff(): void {
    if (this.#state === "exchange") this.#exchange?.onDownstreamFault("draining");
    this.#onClose();
  }

  #onDrain(): void {
    if (!this.#writer.drained()) return;
    if (this.#state === "exchange") this.#expectProgress();
    this.#exchange?.onDownstreamFlowing();
    this.#tunnel?.onFlowing();
    if (this.#state === "head") this.#readOn();
  }

  tick(nowMs: number): void {
    if (this.#deadlineAtMs !== 0 && nowMs >= this.#deadlineAtMs) {
      this.#deadlineAtMs = 0;
      this.#react("tick");
    } else if (this.#exchangeDueAtMs !== 0 && nowMs >= this.#exchangeDueAtMs) {
      this.#exchangeDueAtMs = 0;
      this.#react("overdue");
    }
  }

  #onDeadline(): void {
    if (this.#state === "head" && this.#isHeadBegun) this.#refuse("head-timeout");
    else if (this.#state === "exchange") this.#breakExchange("body-timeout");
    else if (this.#state === "discard") this.#closeGently();
    else this.#close();
  }

  #onOverdue(): void {
    if (this.#state === "exchange") this.#breakExchange("exchange-timeout");
  }

  #breakExchange(fault: FaultCode): void {
    this.#keepsAlive = false;
    this.#requestEnded = true;
    this.#exchange?.onDownstreamFault(fault);
  }

  // --- what the exchange asks for

  pauseRequest(): void {
    if (this.#requestEnded) return;
    this.#isPaused = true;
    this.#expectProgress();
    this.#socket.pause();
  }

  resumeRequest(): void {
    if (this.#holdsTooMuch()) return;
    this.#resumeSocket();
    this.#expectProgress();
  }

  sendInterim(head: ResponseHead, edit: HeadEdit): void {
    // RFC 9110 section 15.2: a 1xx response is not sent to an HTTP/1.0 caller.
    if (this.#minorVersion === 0) return;
    dropFraming(head, edit);
    encodeResponseHead(head, edit, this.#writer.head(false));
    // It goes by itself: the response behind it may have to be taken back.
    this.flush();
  }

  sendHead(head: ResponseHead, edit: HeadEdit): void {
    this.#frameResponse(head, edit);
    if (this.#mustClose() || this.#leavesTooMuch(head)) this.#keepsAlive = false;
    if (!this.#keepsAlive) edit.add("connection", "close");
    else if (this.#minorVersion === 0) edit.add("connection", "keep-alive");
    encodeResponseHead(head, edit, this.#writer.head(this.#sendsChunks));
  }

  #mustClose(): boolean {
    const { isDraining, overload } = this.#context;
    // Requests that were sent before their caller could be told are answered first.
    return (isDraining && this.#unread === null) || overload !== "none" || this.#mayStopHere();
  }

  /**
   * Answered before it sent its body, a caller that asked first (`Expect`) sends it or does not, and
   * nothing tells its next request from that body (RFC 9110 section 10.1.1): so none may follow.
   */
  #mayStopHere(): boolean {
    if (this.#requestEnded) return false;
    return (this.#message.reader.head.present & (1 << FIELD.EXPECT)) !== 0;
  }

  /**
   * Whether more of the request is missing than is swallowed behind its response, one that is as good as
   * whole: then the connection is closed behind it, and the caller is told (RFC 9112 section 9.6).
   */
  #leavesTooMuch({ bodyBytes }: ResponseHead): boolean {
    if (this.#requestEnded || bodyBytes === BODY_UNSIZED) return false;
    const { bufferedBytesMax, drainedBodyBytesMax } = this.#context.limits;
    return (
      bodyBytes <= bufferedBytesMax && this.#message.decoder.missingBytes > drainedBodyBytesMax
    );
  }

  /** Of the request in progress. */
  get #minorVersion(): number {
    return this.#message.reader.head.minorVersion;
  }

  /** RFC 9112 section 6: chunks where the length is unknown, or the end of the connection. */
  #frameResponse(head: ResponseHead, edit: HeadEdit): void {
    const { fields } = head;
    const hasCoding = (fields.present & (1 << FIELD.TRANSFER_ENCODING)) !== 0;
    if (!head.hasBody) {
      if (head.status === 204) edit.dropKnown(head.fields, FIELD.CONTENT_LENGTH);
      // RFC 9112 section 6.1: HTTP/1.0 knows no coding.
      const mayTell = head.status >= 300 && this.#minorVersion === 1;
      if (hasCoding && !mayTell) edit.dropKnown(head.fields, FIELD.TRANSFER_ENCODING);
      return;
    }
    if (head.bodyBytes !== BODY_UNSIZED) return;
    if (this.#minorVersion === 1) {
      this.#sendsChunks = true;
      if (!hasCoding) edit.add("transfer-encoding", "chunked");
      return;
    }
    edit.dropKnown(head.fields, FIELD.TRANSFER_ENCODING);
    this.#sendsUntilClose = true;
    this.#keepsAlive = false;
  }

  takeBack(): boolean {
    if (!this.#writer.isHeadGathered) return false;
    this.#writer.dropGathered();
    this.#sendsChunks = false;
    this.#sendsUntilClose = false;
    return true;
  }

  sendBody(bytes: Buffer): void {
    if (this.#state === "exchange") this.#writer.body(bytes);
  }

  sendEnd(trailers: Trailers | null): Flow {
    if (this.#state !== "exchange") return FLOW.FLUSHED;
    this.#writer.end(trailers);
    const flow = this.flush();
    this.#exchange = null;
    if (this.#requestEnded) this.#nextMessage();
    else this.#discardRest();
    return flow;
  }

  closeAfterResponse(): void {
    this.#keepsAlive = false;
  }

  flush(): Flow {
    const flow = this.#writer.flush();
    if (flow === FLOW.BLOCKED) this.#expectProgress();
    return flow;
  }

  abort(): void {
    this.#exchange = null;
    this.#writer.writeWaiting();
    // A body that ends with the connection, or a tunnel, would look complete after an orderly close.
    if (this.#sendsUntilClose || this.#state === "tunnel") resetSocket(this.#socket);
    this.#close();
  }

  // --- the tunnel after a 101 response

  openTunnel(head: ResponseHead, edit: HeadEdit): TunnelEnd {
    this.#state = "tunnel";
    this.#exchange = null;
    dropFraming(head, edit);
    encodeResponseHead(head, edit, this.#writer.head(false));
    this.flush();
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
    this.#writer.writeWaiting();
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
    const unread = this.#takeUnread();
    if (unread !== null) this.#tunnel?.onBytes(unread);
  }

  // --- the end of a message, and of the connection

  /** The response is out before the request is in: swallow a little of it, or close. */
  #discardRest(): void {
    const { missingBytes } = this.#message.decoder;
    if (!this.#keepsAlive || missingBytes > this.#context.limits.drainedBodyBytesMax) {
      this.#closeGently();
      return;
    }
    this.#state = "discard";
    this.#deadlineAtMs = this.#context.ticker.nowMs + this.#context.limits.drainedBodyMs;
    this.#resumeSocket();
  }

  #nextMessage(): void {
    if (!this.#keepsAlive) {
      this.#closeGently();
      return;
    }
    this.#state = "head";
    if (this.#writer.isBlocked) this.#expectProgress();
    else this.#readOn();
  }

  /** Waits for the next request, which may have been read already. */
  #readOn(): void {
    this.#deadlineAtMs = this.#context.ticker.nowMs + this.#context.limits.downstreamIdleMs;
    this.#resumeSocket();
    if (this.#isReading) return;
    const unread = this.#takeUnread();
    if (unread !== null) this.#read(unread);
    else this.#letGoIfIdle();
  }

  #resumeSocket(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /**
   * Closes so that the answer arrives (RFC 9112 section 9.6): first our direction, then, once the
   * caller has closed or a second has passed, the whole. A reset would destroy what it has not read.
   */
  #closeGently(): void {
    if (this.#state === "closed" || this.#state === "closing") return;
    this.#state = "closing";
    this.#unread = null;
    this.#deadlineAtMs = this.#context.ticker.nowMs + this.#context.limits.bodyIdleMs;
    this.#writer.writeWaiting();
    this.#socket.end(() => {
      this.#deadlineAtMs = this.#context.ticker.nowMs + this.#context.limits.drainedBodyMs;
    });
    this.#socket.resume();
  }

  #destroyAfterFlush(): void {
    if (this.#socket.writableFinished) this.#close();
    else this.#socket.once("finish", () => this.#close());
  }

  /** Ends the connection at once. */
  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#exchange = null;
    this.#tunnel = null;
    this.#context.ticker.delete(this);
    this.#writer.writeWaiting();
    // A reset where bytes are lost anyway: the kernel would keep its part for a caller that reads none.
    if (this.#socket.writableLength > 0) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
    this.#onClosed(this);
  }

  /** Closes the connection if nothing is in progress on it; tells whether it was so. */
  closeIfIdle(): boolean {
    if (!this.isIdle) return false;
    this.#closeGently();
    return true;
  }

  /**
   * The time to finish is over: what was not begun is answered, the rest is cut off. Tells whether
   * there was anything but the last wait of a connection that is closed already.
   */
  destroy(): boolean {
    const isCutOff = this.#state !== "closing";
    this.#react("cut-off");
    return isCutOff;
  }

  /** Sets a deadline where it is the caller who has to move: to send its body, or to read. */
  #expectProgress(): void {
    const isCallersTurn =
      this.#writer.isBlocked ||
      // It is not read from, so that it has gone would never be seen.
      this.#holdsTooMuch() ||
      !(this.#requestEnded || this.#isPaused);
    const { limits, ticker } = this.#context;
    this.#deadlineAtMs = isCallersTurn ? ticker.nowMs + limits.bodyIdleMs : 0;
  }
}

/** What the socket, the clock, or a stop of the proxy brings. */
type Event = "data" | "end" | "drain" | "close" | "tick" | "overdue" | "cut-off";

/** What the kernel says of a connection that it redirected to us. */
export interface Intercepted {
  readonly intendedAddress: IntendedAddress;
  /** `host:port` that its requests go to unless a fork has them. */
  readonly baseline: string;
}

/** Stands for a head that could not be read. */
const UNREADABLE_HEAD: RequestHead = {
  method: "",
  target: "",
  authority: "",
  fields: new MadeFields([]),
  hasBody: false,
  bodyBytes: 0,
  mayUpgrade: false,
  raw: null,
};

/** The same of a HEAD, whose answer has no body whatever it is (RFC 9110 section 9.3.2). */
const UNREADABLE_TO_HEAD: RequestHead = { ...UNREADABLE_HEAD, method: "HEAD" };

/** Tells whether the caller may send another request behind this one (RFC 9112 section 9.3). */
export function wantsKeepAlive(head: Http1RequestHead): boolean {
  const options = connectionOptions(head);
  if (options.length === 0) return head.minorVersion === 1;
  if (options.includes("close")) return false;
  return head.minorVersion === 1 || options.includes("keep-alive");
}

/** RFC 9112 sections 6.1 and 6.2: a 1xx response has neither; somebody might believe them. */
function dropFraming(head: ResponseHead, edit: HeadEdit): void {
  edit.dropKnown(head.fields, FIELD.CONTENT_LENGTH);
  edit.dropKnown(head.fields, FIELD.TRANSFER_ENCODING);
}
