import { wantsKeepAlive } from "../../proxy/downstream/http1-connection.ts";
import { BodyDecoder, type BodyReceiver } from "../../proxy/http1/decode-body.ts";
import { frameRequest, frameResponse } from "../../proxy/http1/framing.ts";
import { type Http1Head, Http1RequestHead, Http1ResponseHead } from "../../proxy/http1/head.ts";
import {
  type HeadReader,
  requestHeadReader,
  responseHeadReader,
} from "../../proxy/http1/head-reader.ts";
import { COMPLETE, INCOMPLETE } from "../../proxy/http1/parse-head.ts";
import { connectionOptions } from "../../proxy/message/connection-options.ts";
import type { Trailers } from "../../proxy/message/field-list.ts";
import { type Input, LIMITS, methodOf } from "./input.ts";
import type { Message, Outcome } from "./outcome.ts";

/**
 * Reads an input with the proxy's parsers, as its connections do. `cuts` are the offsets at which the
 * bytes arrive apart, in order; the buffer of one read is overwritten by the next, as upstream.
 */
export function readByOurs(
  input: Input,
  cuts: readonly number[] = [],
  listener: MessageListener = NOBODY,
): Outcome {
  const reader = new MessagesReader(input, listener);
  let start = 0;
  for (const cut of cuts) {
    reader.read(start, cut);
    start = cut;
  }
  reader.read(start, input.text.length);
  return reader.finish();
}

/** Who is told of messages while they are read, as an exchange is. Bytes are valid during the call. */
export interface MessageListener {
  onRequest(head: Http1RequestHead): void;
  onBody(bytes: Buffer): void;
  onEnd(trailers: Trailers | null): void;
  /** All of one read was told. */
  onBatch(): void;
}

const NOBODY: MessageListener = {
  onRequest() {},
  onBody() {},
  onEnd() {},
  onBatch() {},
};

class MessagesReader implements BodyReceiver {
  readonly #input: Input;
  readonly #listener: MessageListener;
  readonly #bytes: Buffer;
  readonly #buffer: Buffer;
  readonly #request: HeadReader<Http1RequestHead> | null;
  readonly #response: HeadReader<Http1ResponseHead> | null;
  readonly #decoder: BodyDecoder;
  readonly #messages: Message[] = [];
  #message: Message | null = null;
  #finals = 0;
  #end = "";

  constructor(input: Input, listener: MessageListener) {
    const limits = LIMITS[input.limits];
    const isRequests = input.kind === "requests";
    this.#input = input;
    this.#listener = listener;
    this.#bytes = Buffer.from(input.text, "latin1");
    this.#buffer = Buffer.allocUnsafe(this.#bytes.length);
    this.#request = isRequests ? requestHeadReader(new Http1RequestHead(), limits) : null;
    this.#response = isRequests ? null : responseHeadReader(new Http1ResponseHead(), limits);
    this.#decoder = new BodyDecoder(limits);
  }

  /** One read from the socket: the bytes from `start` to `end` of the input. */
  read(start: number, end: number): void {
    const count = this.#bytes.copy(this.#buffer, 0, start, end);
    for (let at = 0; at < count && this.#end === ""; ) {
      at =
        this.#message === null
          ? this.#readHead(at, count, start)
          : this.#readBody(at, count, start);
    }
    this.#listener.onBatch();
  }

  /** The connection has ended. */
  finish(): Outcome {
    const { endsWithConnection } = this.#decoder;
    if (this.#end === "" && this.#message !== null && endsWithConnection) {
      this.#complete(this.#input.text.length);
    }
    const isBegun = this.#request?.isBegun || this.#response?.isBegun || this.#message !== null;
    if (this.#end === "") this.#end = isBegun ? "cut" : "clean";
    return { messages: this.#messages, end: this.#end, unfinished: this.#message };
  }

  #readHead(start: number, end: number, offset: number): number {
    const reader = this.#request ?? this.#response;
    const outcome = reader?.read(this.#buffer, start, end) ?? INCOMPLETE;
    if (outcome === INCOMPLETE) return end;
    const fault = outcome === COMPLETE ? this.#frame() : outcome;
    if (fault !== null) {
      this.#end = fault;
      return end;
    }
    const next = reader?.next ?? end;
    if (this.#request !== null) this.#listener.onRequest(this.#request.head);
    if (!this.#decoder.isDone) return next;
    this.#listener.onEnd(null);
    this.#complete(offset + next);
    return next;
  }

  /** Finds the end of the body, and keeps what the head says. */
  #frame(): string | null {
    const request = this.#request?.head;
    const response = this.#response?.head;
    const isHead = methodOf(this.#input, this.#finals) === "HEAD";
    const head = request ?? response;
    if (head === undefined) return null;
    const fault = request ? frameRequest(request) : response && frameResponse(response, isHead);
    if (typeof fault === "string") return fault;
    this.#decoder.begin(head);
    this.#message = {
      what: request ? request.method : String(head.status),
      target: request ? head.bytes.toString("latin1", request.targetStart, request.targetEnd) : "",
      minorVersion: head.minorVersion,
      fields: fieldsOf(head),
      framing: this.#framing(head),
      body: "",
      trailers: [],
      keepsAlive: request ? wantsKeepAlive(request) : this.#persists(head),
      end: -1,
    };
    return null;
  }

  #framing(head: Http1Head): string {
    if (!head.hasBody) return "none";
    if (head.isChunked) return "chunked";
    return this.#decoder.endsWithConnection ? "until-close" : `length ${head.bodyBytes}`;
  }

  /** As upstream/http1-connection.ts has it. */
  #persists(head: Http1Head): boolean {
    if (head.minorVersion === 0 || this.#decoder.endsWithConnection) return false;
    return !connectionOptions(head).includes("close");
  }

  #readBody(start: number, end: number, offset: number): number {
    const next = this.#decoder.decode(this.#buffer, start, end, this);
    if (typeof next === "string") {
      this.#end = next;
      return end;
    }
    if (this.#decoder.isDone) this.#complete(offset + next);
    return next;
  }

  onBody(bytes: Buffer): void {
    if (this.#message !== null) this.#message.body += bytes.toString("latin1");
    this.#listener.onBody(bytes);
  }

  onBodyEnd(trailers: Trailers | null): void {
    if (this.#message !== null) this.#message.trailers = trailers ?? [];
    this.#listener.onEnd(trailers);
  }

  #complete(end: number): void {
    const message = this.#message;
    if (message === null) return;
    message.end = end;
    this.#messages.push(message);
    this.#message = null;
    if (message.what === "101") this.#end = "tunnel";
    const isInterim = this.#response !== null && message.what.startsWith("1");
    if (isInterim) return;
    this.#finals++;
    if (!message.keepsAlive) this.#end = "closed";
  }
}

function fieldsOf(head: Http1Head): string[] {
  const fields: string[] = [];
  for (let i = 0; i < head.count; i++) fields.push(head.name(i), head.value(i));
  return fields;
}
