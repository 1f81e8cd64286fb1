/**
 * Reads an input with the parser of node:http itself (llhttp), strict as a server of Node's has it.
 *
 * `_http_common` is where Node's own modules take it from. It is no documented interface, so what is
 * asked of it is checked once: a Node that speaks otherwise fails here, in words.
 */
import { METHODS } from "node:http";
import { createRequire } from "node:module";
import { type Input, methodOf } from "./input.ts";
import type { Message, Outcome } from "./outcome.ts";

/** What llhttp says of an input, with what only it tells. */
export interface NodeOutcome extends Outcome {
  /** Offset of the byte at which it refused; -1 where it did not. */
  readonly refusedAt: number;
}

interface ParserCalls {
  initialize(type: number, resource: object, headBytesMax: number, lenientFlags: number): void;
  execute(bytes: Buffer): number | ParseError;
  finish(): undefined | ParseError;
  [callback: number]: (...args: never[]) => unknown;
}

interface ParseError extends Error {
  readonly code: string;
  readonly bytesParsed: number;
}

interface ParserClass {
  new (): ParserCalls;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}

const { HTTPParser } = createRequire(import.meta.url)("_http_common") as {
  readonly HTTPParser: ParserClass;
};

/** Far more than any input: what Node refuses for its size says nothing of how it reads. */
const HEAD_BYTES_MAX = 16 * 1024 * 1024;

/** What on_headers_complete answers: go on, or the message has no body whatever its head says. */
const GO_ON = 0;
const SKIP_BODY = 1;

/** Reads all messages of an input. */
export function readByNode(input: Input): NodeOutcome {
  reading.begin(input);
  parser.initialize(
    input.kind === "requests" ? HTTPParser.REQUEST : HTTPParser.RESPONSE,
    RESOURCE,
    HEAD_BYTES_MAX,
    HTTPParser.kLenientNone,
  );
  const bytes = Buffer.from(input.text, "latin1");
  const outcome = parser.execute(bytes);
  if (typeof outcome === "number" && outcome < bytes.length) {
    // Of a request for an upgrade Node hides what is wrong, and hands the rest over.
    return reading.isBetween ? reading.end("tunnel", -1) : reading.end("HPE_HIDDEN", outcome);
  }
  if (typeof outcome !== "number") return reading.end(outcome.code, outcome.bytesParsed);
  const end = parser.finish();
  if (end === undefined) return reading.end(reading.isBetween ? "clean" : "cut", -1);
  return reading.end(end.code === "HPE_INVALID_EOF_STATE" ? "cut" : end.code, -1);
}

/** What is gathered from the parser's callbacks while it reads. */
class Reading {
  #input: Input = { kind: "requests", text: "", methods: [], limits: "default" };
  #messages: Message[] = [];
  #message: Message | null = null;
  /** Names and values that came ahead of the rest of the head, or behind the body. */
  #fields: string[] = [];
  #url = "";
  #finals = 0;
  /** Of the request read last. */
  methodNumber = -1;

  begin(input: Input): void {
    this.#input = input;
    this.#messages = [];
    this.#message = null;
    this.#fields = [];
    this.#url = "";
    this.#finals = 0;
  }

  get isBetween(): boolean {
    return this.#message === null;
  }

  end(end: string, refusedAt: number): NodeOutcome {
    return { messages: this.#messages, end, unfinished: this.#message, refusedAt };
  }

  /** Many fields come in several calls. */
  onFields(fields: readonly string[], url: string): void {
    this.#fields.push(...fields);
    this.#url += url;
  }

  onHead(
    minorVersion: number,
    majorVersion: number,
    fields: readonly string[] | undefined,
    method: number | undefined,
    url: string | undefined,
    status: number | undefined,
    keepsAlive: boolean,
  ): number {
    this.methodNumber = method ?? -1;
    const isRequest = this.#input.kind === "requests";
    const all = fields === undefined ? this.#fields : [...this.#fields, ...fields];
    this.#message = {
      what: isRequest ? (methodNames[method ?? -1] ?? `method ${method}`) : String(status),
      target: isRequest ? this.#url + (url ?? "") : "",
      minorVersion: majorVersion === 1 ? minorVersion : majorVersion * 10 + minorVersion,
      fields: all,
      framing: "",
      body: "",
      trailers: [],
      keepsAlive,
      end: -1,
    };
    this.#fields = [];
    this.#url = "";
    const isHead = !isRequest && methodOf(this.#input, this.#finals) === "HEAD";
    return isHead ? SKIP_BODY : GO_ON;
  }

  onBody(bytes: Buffer): void {
    if (this.#message !== null) this.#message.body += bytes.toString("latin1");
  }

  onMessageEnd(): void {
    if (this.#message === null) return;
    this.#message.trailers = this.#fields;
    this.#fields = [];
    // With trailers comes the target once more.
    this.#url = "";
    if (this.#input.kind === "requests" || !this.#message.what.startsWith("1")) this.#finals++;
    this.#messages.push(this.#message);
    this.#message = null;
  }
}

const RESOURCE = {};
const reading = new Reading();
const parser = new HTTPParser();
parser[HTTPParser.kOnHeaders] = (fields: string[], url: string) => reading.onFields(fields, url);
parser[HTTPParser.kOnHeadersComplete] = (
  major: number,
  minor: number,
  fields: string[] | undefined,
  method: number | undefined,
  url: string | undefined,
  status: number | undefined,
  _reason: string,
  _isUpgrade: boolean,
  keepsAlive: boolean,
) => reading.onHead(minor, major, fields, method, url, status, keepsAlive);
parser[HTTPParser.kOnBody] = (bytes: Buffer) => reading.onBody(bytes);
parser[HTTPParser.kOnMessageComplete] = () => reading.onMessageEnd();

/** llhttp tells methods by number; which number is whose is asked of itself. */
const methodNames: string[] = [];
for (const method of METHODS) {
  const target = method === "CONNECT" ? "a:80" : "/";
  const text = `${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const { messages } = readByNode({ kind: "requests", text, methods: [], limits: "default" });
  if (messages[0]?.target !== target || reading.methodNumber < 0) {
    throw new Error(`the parser of Node ${process.version} is not spoken to as llhttp.ts does it`);
  }
  methodNames[reading.methodNumber] = method;
}
