import type { Socket } from "node:net";
import { forwardRequestHead } from "../../proxy/exchange/forwarded-head.ts";
import { forwardRequestTrailers } from "../../proxy/exchange/forwarded-trailers.ts";
import { encodeRequestHead } from "../../proxy/http1/encode-head.ts";
import type { Http1RequestHead } from "../../proxy/http1/head.ts";
import { MessageWriter } from "../../proxy/http1/message-writer.ts";
import { connectionOptions } from "../../proxy/message/connection-options.ts";
import type { Trailers } from "../../proxy/message/field-list.ts";
import { BODY_UNSIZED } from "../../proxy/message/head.ts";
import { HeadEdit } from "../../proxy/message/head-edit.ts";
import { type Input, LIMITS } from "./input.ts";
import { type MessageListener, readByOurs } from "./ours.ts";
import { type Message, type Outcome, valuesOf } from "./outcome.ts";

/** Where requests without a Host go. */
const UPSTREAM = "upstream.test:80";

/** What the proxy writes to an upstream of the requests of an input; latin1. */
export function forwardedText(input: Input, cuts: readonly number[]): string {
  const forwarder = new Forwarder(LIMITS[input.limits].headFieldsMax);
  readByOurs(input, cuts, forwarder);
  return forwarder.text;
}

/** Passes requests on as an exchange and its upstream connection do, until one is refused. */
class Forwarder implements MessageListener {
  readonly #edit: HeadEdit;
  readonly #writer: MessageWriter;
  #isRefused = false;
  #options: readonly string[] = [];
  text = "";

  constructor(fieldsMax: number) {
    this.#edit = new HeadEdit(fieldsMax);
    this.#writer = new MessageWriter(this.#socket());
  }

  onRequest(head: Http1RequestHead): void {
    if (this.#isRefused) return;
    this.#edit.reset();
    this.#isRefused = forwardRequestHead(head, this.#edit, false, UPSTREAM, []) !== null;
    if (this.#isRefused) return;
    this.#options = connectionOptions(head);
    const sendsChunks = head.hasBody && head.bodyBytes === BODY_UNSIZED;
    encodeRequestHead(head, this.#edit, this.#writer.head(sendsChunks));
  }

  onBody(bytes: Buffer): void {
    if (!this.#isRefused) this.#writer.body(bytes);
  }

  onEnd(trailers: Trailers | null): void {
    if (this.#isRefused) return;
    this.#writer.end(trailers && forwardRequestTrailers(trailers, this.#options, "forward", []));
  }

  onBatch(): void {
    this.#writer.flush();
    this.#writer.writeWaiting();
  }

  /** As much of a socket as the writer asks for; its bytes are out at once. */
  #socket(): Socket {
    const take = (bytes: Buffer | string): boolean => {
      this.text += typeof bytes === "string" ? bytes : bytes.toString("latin1");
      return true;
    };
    const socket = {
      write: take,
      cork() {},
      uncork() {},
      writableLength: 0,
      writableHighWaterMark: 64 * 1024,
      writableNeedDrain: false,
    };
    return socket as unknown as Socket;
  }
}

/** What must be forwarded of messages that were read, in plain words: RFC 9110 section 7.6.1. */
export function expectedForwarded({ messages, unfinished }: Outcome): readonly Message[] {
  const forwarded: Message[] = [];
  for (const message of [...messages, ...(unfinished === null ? [] : [unfinished])]) {
    if (isRefusedHead(message)) break;
    forwarded.push(expectedRequest({ ...message, fields: withoutUpgrade(message) }, UPSTREAM));
  }
  return forwarded;
}

/** What is asked without any upgrade. */
function withoutUpgrade({ fields }: Message): readonly string[] {
  const isUpgrade = (i: number) => fields[i - (i % 2)]?.toLowerCase() === "upgrade";
  return fields.filter((_, i) => !isUpgrade(i));
}

/** One request as it must go on; `host` is for one that names none. */
export function expectedRequest(message: Message, host: string): Message {
  return {
    ...message,
    target: forwardedTarget(message),
    minorVersion: 1,
    fields: forwardedFields(message, optionsOf(message), authorityOf(message) ?? host),
    trailers: forwardedTrailers(message, optionsOf(message)),
  };
}

/** RFC 9112 section 3.2.2: of a target in absolute-form. */
function authorityOf({ target }: Message): string | undefined {
  return /^https?:\/\/([^/?]*)/i.exec(target)?.[1];
}

/** RFC 9110 section 7.6.1: what Connection names is removed behind the body, too. */
function forwardedTrailers({ trailers }: Message, options: readonly string[]): string[] {
  return trailers.filter((_, i) => !options.includes((trailers[i - (i % 2)] ?? "").toLowerCase()));
}

/** RFC 9112 sections 3.2.1 and 3.2.4: path and query; of a URI without, `/`, or `*` with OPTIONS. */
function forwardedTarget({ what, target }: Message): string {
  const rest = target.replace(/^https?:\/\/[^/?]*/i, "");
  if (rest === "") return what === "OPTIONS" ? "*" : "/";
  return rest.startsWith("?") ? `/${rest}` : rest;
}

/** Our rule: nobody names what routing or the upstream relies on, nor ten options, nor a long TE. */
export function isRefusedHead(message: Message): boolean {
  const options = optionsOf(message);
  const te = valuesOf(message.fields, "te").join("").length;
  return options.length > 9 || te > 255 || options.some((option) => PROTECTED.test(option));
}

const PROTECTED = new RegExp(
  `^(?:${[
    "authorization|b3|baggage|cache-control|cookie|correlation-context|expect|forwarded|host",
    "kubernetes-route-as|max-forwards|origin|proxy-auth(?:enticate|orization)|range|sentry-trace|set-cookie",
    "traceparent|tracestate|transfer-encoding|true-client-ip|uber-trace-id|via|www-authenticate",
    "x-(?:amzn-trace-id|api-key|auth-token|client-ip|cloud-trace-context|http-method-override)",
    "x-(?:original-url|real-ip|request-id|rewrite-url)",
    "(?:content|forklane|grpc|if|ot-baggage|sec-websocket|uberctx|x-b3|x-datadog|x-forwarded)-.*",
  ].join("|")})$`,
);

function forwardedFields(message: Message, options: readonly string[], host: string): string[] {
  const kept: string[] = [];
  const isUpgrade = wantsWebSocket(message, options);
  let keepsTe = false;
  for (let i = 0; i < message.fields.length; i += 2) {
    const [name = "", value = ""] = message.fields.slice(i, i + 2);
    const lower = name.toLowerCase();
    const isTrailersTe = !isUpgrade && lower === "te" && value.toLowerCase() === "trailers";
    if (isTrailersTe) keepsTe = true;
    const isMeant = isTrailersTe || (isUpgrade && lower === "upgrade");
    const isOurs = HOP_BY_HOP.includes(lower) || options.includes(lower);
    if (isMeant || !isOurs) kept.push(name, plainValue(lower, value));
  }
  if (valuesOf(message.fields, "host").length === 0) kept.push("host", host);
  if (isUpgrade) return [...kept, "connection", "upgrade"];
  return keepsTe ? [...kept, "connection", "te"] : kept;
}

/** RFC 9110 section 7.8. Ours: of a request of HTTP/1.1 without content, and to websocket alone. */
function wantsWebSocket(message: Message, options: readonly string[]): boolean {
  const protocols = valuesOf(message.fields, "upgrade");
  const isWebSocket = protocols.length === 1 && protocols[0]?.toLowerCase() === "websocket";
  const isPlain = message.minorVersion === 1 && message.framing === "none";
  return isWebSocket && isPlain && options.includes("upgrade");
}

/** The framing is written as everybody writes it. */
function plainValue(lower: string, value: string): string {
  if (lower === "transfer-encoding") return "chunked";
  return lower === "content-length" ? String(Number(value)) : value;
}

const HOP_BY_HOP: readonly string[] =
  "connection keep-alive proxy-connection te upgrade http2-settings".split(" ");

function optionsOf({ fields }: Message): string[] {
  const all = valuesOf(fields, "connection").join(",").split(",");
  const trimmed = all.map((option) => option.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase());
  return trimmed.filter((option) => option !== "").slice(0, 10);
}
