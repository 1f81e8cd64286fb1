/**
 * HTTP/1.1 read once more, as plainly as RFC 9112 and the rules of proxy/README.md say it: what the
 * fuzzer holds the proxy's parsers against. It shares no code with them, works on text, and is slow.
 *
 * Where the proxy is stricter than the RFC asks, the rule stands here as `Ours:`.
 */
import type { Limits } from "../../proxy/limits.ts";
import { type Input, LIMITS, methodOf } from "./input.ts";
import type { Message, Outcome } from "./outcome.ts";

/** Reads all messages of an input. */
export function readByReference(input: Input): Outcome {
  const limits = LIMITS[input.limits];
  const messages: Message[] = [];
  let finals = 0;
  for (let at = 0; at < input.text.length; at = messages.at(-1)?.end ?? 0) {
    const reader = new MessageReader(input.text, at, limits);
    let message: Message;
    try {
      message =
        input.kind === "requests" ? reader.request() : reader.response(methodOf(input, finals));
    } catch (stop) {
      if (!(stop instanceof Stop)) throw stop;
      return { messages, end: stop.message, unfinished: reader.unfinished };
    }
    messages.push(message);
    if (message.what === "101") return { messages, end: "tunnel", unfinished: null };
    const isInterim = message.what.startsWith("1") && input.kind === "responses";
    if (!isInterim) finals++;
    if (!isInterim && !message.keepsAlive) return { messages, end: "closed", unfinished: null };
  }
  return { messages, end: "clean", unfinished: null };
}

/** Reading cannot go on; the message is `cut`, or the code of a fault. */
class Stop extends Error {}

const CUT = new Stop("cut");
const HEAD_MALFORMED = new Stop("head-malformed");
const HEAD_TOO_LARGE = new Stop("head-too-large");
const TARGET_TOO_LONG = new Stop("target-too-long");
const VERSION_UNSUPPORTED = new Stop("version-unsupported");
const METHOD_UNSUPPORTED = new Stop("method-unsupported");
const HOST_INVALID = new Stop("host-invalid");
const FRAMING_AMBIGUOUS = new Stop("framing-ambiguous");
const CODING_UNSUPPORTED = new Stop("transfer-coding-unsupported");
const BODY_MALFORMED = new Stop("body-malformed");
const TRAILERS_TOO_LARGE = new Stop("trailers-too-large");
const UPSTREAM_MALFORMED = new Stop("upstream-malformed");

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9112 section 3.2. Ours: any visible ASCII, but for `#`, which no target has. */
const TARGET = /^[!-"$-~]+$/;
/** RFC 9110 section 5.5: visible, space, tab, obs-text. */
const FIELD_TEXT = /^[\t -~\x80-\xff]*$/;

/** Reads one message that begins at an offset. */
class MessageReader {
  readonly #text: string;
  readonly #limits: Limits;
  #at: number;
  #headStart: number;
  unfinished: Message | null = null;

  constructor(text: string, start: number, limits: Limits) {
    this.#text = text;
    this.#limits = limits;
    this.#at = start;
    this.#headStart = start;
  }

  /** RFC 9112 section 3: `method SP request-target SP HTTP-version`, then fields. */
  request(): Message {
    const line = this.#startLine();
    const [method = "", target = "", version = "", ...more] = line.split(" ");
    if (!TOKEN.test(method) || !TARGET.test(target)) throw HEAD_MALFORMED;
    // The line is read from its start, so a version that is not ours is met before what follows it.
    if (!/^HTTP\/\d\.\d/.test(version)) throw HEAD_MALFORMED;
    if (!/^HTTP\/1\.[01]/.test(version)) throw VERSION_UNSUPPORTED;
    if (version.length > "HTTP/1.1".length || more.length > 0) throw HEAD_MALFORMED;
    const minorVersion = version === "HTTP/1.1" ? 1 : 0;
    const fields = this.#fields();
    // Ours: a proxy that stands before one service opens no tunnels.
    if (method === "CONNECT") throw METHOD_UNSUPPORTED;
    checkHost(method, target, minorVersion, fields);
    const framing = requestFraming(minorVersion, fields);
    const keepsAlive = requestKeepsAlive(minorVersion, fields);
    return this.#withBody({ what: method, target, minorVersion, fields, framing, keepsAlive });
  }

  /** RFC 9112 section 4: `HTTP-version SP status-code [SP reason-phrase]`, then fields. */
  response(method: string): Message {
    const line = this.#headLine(true);
    // Ours: the space behind the status may be missing, as some services leave it out.
    const parts = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t -~\x80-\xff]*))?$/.exec(line);
    if (parts === null) throw HEAD_MALFORMED;
    const minorVersion = Number(parts[1]);
    const status = Number(parts[2]);
    const fields = this.#fields();
    const framing = responseFraming(method, status, minorVersion, fields);
    const keepsAlive =
      // Ours: a keep-alive of HTTP/1.0 is not relied on.
      minorVersion === 1 && framing !== "until-close" && !optionsOf(fields).includes("close");
    return this.#withBody({
      what: String(status),
      target: "",
      minorVersion,
      fields,
      framing,
      keepsAlive,
    });
  }

  /** RFC 9112 section 2.2: one empty line in front of a request is ignored. Ours: not two. */
  #startLine(): string {
    const first = this.#headLine(true);
    if (first !== "") return first;
    this.#headStart = this.#at;
    return this.#headLine(true);
  }

  /** A line of the head without its CR LF. Ours: LF alone ends no line, and is refused. */
  #headLine(isStartLine: boolean): string {
    const lineFeed = this.#text.indexOf("\n", this.#at);
    // A line that has not ended yet is at least one byte longer than what there is of it.
    const end = lineFeed < 0 ? this.#text.length + 1 : lineFeed + 1;
    if (isStartLine && end - this.#at > this.#limits.requestLineBytesMax) throw TARGET_TOO_LONG;
    if (end - this.#headStart > this.#limits.headBytesMax) throw HEAD_TOO_LARGE;
    if (lineFeed < 0) throw CUT;
    const line = this.#text.slice(this.#at, lineFeed);
    if (!line.endsWith("\r")) throw HEAD_MALFORMED;
    this.#at = end;
    return line.slice(0, -1);
  }

  #fields(): string[] {
    const fields: string[] = [];
    for (let line = this.#headLine(false); line !== ""; line = this.#headLine(false)) {
      const field = readField(line);
      if (field === null) throw HEAD_MALFORMED;
      if (fields.length / 2 === this.#limits.headFieldsMax) throw HEAD_TOO_LARGE;
      fields.push(...field);
    }
    return fields;
  }

  /** RFC 9112 section 6.3, the end of the body. */
  #withBody(head: Omit<Message, "body" | "trailers" | "end">): Message {
    const message: Message = { ...head, body: "", trailers: [], end: -1 };
    this.unfinished = message;
    const [kind, bytes] = head.framing.split(" ");
    if (kind === "length") this.#content(message, Number(bytes));
    else if (kind === "chunked") this.#chunks(message);
    else if (kind === "until-close") this.#content(message, this.#text.length - this.#at);
    this.unfinished = null;
    message.end = this.#at;
    return message;
  }

  #content(message: Message, bytes: number): void {
    const content = this.#text.slice(this.#at, this.#at + bytes);
    message.body += content;
    this.#at += content.length;
    if (content.length < bytes) throw CUT;
  }

  /** RFC 9112 section 7.1. What is wrong is refused with its first wrong byte. */
  #chunks(message: Message): void {
    let extensionBytes = 0;
    for (;;) {
      const digits = this.#while(/[0-9A-Fa-f]/);
      // Ours: not many more digits than a number holds exactly, and no larger number.
      if (digits.length > 15) throw BODY_MALFORMED;
      if (Number.parseInt(digits, 16) > Number.MAX_SAFE_INTEGER) throw BODY_MALFORMED;
      if (this.#at === this.#text.length) throw CUT;
      if (digits === "") throw BODY_MALFORMED;
      if (this.#text[this.#at] === ";") extensionBytes += this.#extension(extensionBytes);
      this.#lineEnd();
      const size = Number.parseInt(digits, 16);
      if (size === 0) break;
      this.#content(message, size);
      this.#lineEnd();
    }
    this.#trailers(message);
  }

  /** RFC 9112 section 7.1.1: unknown ones are ignored. Ours: they have limits. Returns their bytes. */
  #extension(bytesBefore: number): number {
    this.#at++;
    const { length } = this.#while(/[\t -~\x80-\xff]/);
    const { chunkExtensionBytesMax, chunkExtensionsBytesMax } = this.#limits;
    if (length > chunkExtensionBytesMax) throw BODY_MALFORMED;
    if (bytesBefore + length > chunkExtensionsBytesMax) throw BODY_MALFORMED;
    return length;
  }

  #while(allowed: RegExp): string {
    const start = this.#at;
    while (this.#at < this.#text.length && allowed.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #lineEnd(): void {
    for (const expected of "\r\n") {
      if (this.#at === this.#text.length) throw CUT;
      if (this.#text[this.#at] !== expected) throw BODY_MALFORMED;
      this.#at++;
    }
  }

  /** RFC 9112 section 7.1.2. A line is looked at for its end at once, for the rest with the last one. */
  #trailers(message: Message): void {
    const start = this.#at;
    const lines: string[] = [];
    do {
      const lineFeed = this.#text.indexOf("\n", this.#at);
      const end = lineFeed < 0 ? this.#text.length : lineFeed + 1;
      if (end - start > this.#limits.trailerBytesMax) throw TRAILERS_TOO_LARGE;
      if (lineFeed < 0) throw CUT;
      const line = this.#text.slice(this.#at, lineFeed);
      if (!line.endsWith("\r")) throw BODY_MALFORMED;
      lines.push(line.slice(0, -1));
      this.#at = end;
    } while (lines.at(-1) !== "");
    message.trailers = readTrailers(lines.slice(0, -1), this.#limits);
  }
}

/** RFC 9112 section 5: `field-name ":" OWS field-value OWS`; no folding, no space before the colon. */
function readField(line: string): [string, string] | null {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = withoutSpace(line.slice(colon + 1));
  return TOKEN.test(name) && FIELD_TEXT.test(value) ? [name, value] : null;
}

function withoutSpace(text: string): string {
  return text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
}

function readTrailers(lines: readonly string[], limits: Limits): string[] {
  const fields: string[] = [];
  for (const line of lines) {
    const field = readField(line);
    if (field === null) throw BODY_MALFORMED;
    if (fields.length / 2 === limits.trailerFieldsMax) throw TRAILERS_TOO_LARGE;
    fields.push(...field);
  }
  for (let i = 0; i < fields.length; i += 2) {
    if (isForbiddenTrailer(fields[i] ?? "")) throw BODY_MALFORMED;
  }
  return fields;
}

/** RFC 9110 section 6.5.1: framing, routing, credentials, conditions, content, control; and our own fields. */
export function isForbiddenTrailer(name: string): boolean {
  const lower = name.toLowerCase();
  if (["content-digest", "content-md5"].includes(lower)) return false;
  return FORBIDDEN_TRAILERS.split(" ").some((each) =>
    each.endsWith("*") ? lower.startsWith(each.slice(0, -1)) : lower === each,
  );
}

const FORBIDDEN_TRAILERS =
  // what frames, and what belongs to a connection
  "content-length transfer-encoding connection keep-alive proxy-connection te upgrade http2-settings" +
  // what routes, and who sends it
  " host forwarded x-forwarded-* x-real-ip x-client-ip true-client-ip x-original-url x-rewrite-url via" +
  " max-forwards origin x-http-method-override kubernetes-route-as forklane-*" +
  // who somebody is
  " authorization proxy-authenticate proxy-authorization www-authenticate cookie set-cookie x-api-key" +
  " x-auth-token" +
  // what it depends on, and how it is to be handled
  " expect if-* range cache-control pragma age expires vary location retry-after trailer" +
  // what the content is
  " content-*" +
  // what ties hops together
  " baggage correlation-context traceparent tracestate b3 x-b3-* x-datadog-* uber-trace-id uberctx-*" +
  " ot-baggage-* sentry-trace x-amzn-trace-id x-cloud-trace-context";

function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}

/** RFC 9112 section 3.2: one Host; the target is a path, `*`, or a URI. Ours: one of that Host. */
function checkHost(
  method: string,
  target: string,
  minorVersion: number,
  fields: readonly string[],
): void {
  const hosts = valuesOf(fields, "host");
  if (hosts.length > 1 || (hosts.length === 0 && minorVersion === 1)) throw HOST_INVALID;
  if (hosts.some((host) => !isHost(host))) throw HOST_INVALID;
  if (target.startsWith("/")) return;
  if (target === "*" && method === "OPTIONS") return;
  const uri = /^https?:\/\/([^/?]*)/i.exec(target);
  if (uri === null) throw HEAD_MALFORMED;
  const [host = uri[1]] = hosts;
  if (!isHost(uri[1] ?? "") || host?.toLowerCase() !== uri[1]?.toLowerCase()) throw HOST_INVALID;
}

/** RFC 3986 section 3.2. Ours: no user, no sub-delimiters, no empty name, no empty port. */
function isHost(host: string): boolean {
  const parts = /^(?:[\w.~-]{1,255}|\[([0-9A-Fa-f:.]{2,45})\])(?::(\d{1,5}))?$/.exec(host);
  if (parts === null || Number(parts[2] ?? 0) > 65_535) return false;
  return parts[1] === undefined || isAddress(parts[1]);
}

/** RFC 3986 section 3.2.2: eight groups of up to four digits, the last two perhaps as IPv4, `::` for some. */
function isAddress(address: string): boolean {
  const ipv4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (ipv4 !== null) {
    const isPlain = ipv4
      .slice(2)
      .every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
    return isPlain && isAddress(`${ipv4[1]}0:0`);
  }
  const halves = address.split("::");
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
}

function requestFraming(minorVersion: number, fields: readonly string[]): string {
  const framing = framingOf(fields);
  if (framing === "chunked" && minorVersion === 0) throw FRAMING_AMBIGUOUS;
  return framing === "" || framing === "length 0" ? "none" : framing;
}

/** RFC 9112 section 6.3, rules 1, 2 and 8 after the others. */
function responseFraming(
  method: string,
  status: number,
  minorVersion: number,
  fields: readonly string[],
): string {
  let framing: string;
  try {
    framing = framingOf(fields);
  } catch {
    throw UPSTREAM_MALFORMED;
  }
  if (framing === "chunked" && minorVersion === 0) throw UPSTREAM_MALFORMED;
  // RFC 9110 section 15.2: HTTP/1.0 has no interim responses.
  if (minorVersion === 0 && status < 200) throw UPSTREAM_MALFORMED;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return "none";
  if (framing === "") return "until-close";
  return framing === "length 0" ? "none" : framing;
}

/** RFC 9112 section 6.3, rules 3 to 6; empty where the fields say nothing. Ours: each field once. */
function framingOf(fields: readonly string[]): string {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (lengths.length + codings.length === 0) return "";
  if (lengths.length > 0 && codings.length > 0) throw FRAMING_AMBIGUOUS;
  if (lengths.length > 1 || codings.length > 1) throw FRAMING_AMBIGUOUS;
  const [coding] = codings;
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw CODING_UNSUPPORTED;
    return "chunked";
  }
  const [length = ""] = lengths;
  // Ours: no list of equal lengths, and no more digits than a number holds exactly.
  if (!/^\d{1,16}$/.test(length) || Number(length) > Number.MAX_SAFE_INTEGER) {
    throw FRAMING_AMBIGUOUS;
  }
  return `length ${Number(length)}`;
}

/** RFC 9112 section 9.3. */
function requestKeepsAlive(minorVersion: number, fields: readonly string[]): boolean {
  const options = optionsOf(fields);
  if (options.includes("close")) return false;
  return minorVersion === 1 || options.includes("keep-alive");
}

/** RFC 9110 section 7.6.1. Ours: no more than ten are read. */
function optionsOf(fields: readonly string[]): string[] {
  const all = valuesOf(fields, "connection").join(",").split(",");
  const options = all.map((option) => withoutSpace(option).toLowerCase());
  return options.filter((option) => option !== "").slice(0, 10);
}
