import { Http1DownstreamConnection } from "../../proxy/downstream/http1-connection.ts";
import { MessagePartsPool } from "../../proxy/downstream/message-parts.ts";
import { FAULTS, type FaultCode } from "../../proxy/fault.ts";
import { expectedRequest, isRefusedHead } from "./forwarded.ts";
import { inMemory, MemorySocket } from "./in-memory.ts";
import type { Input } from "./input.ts";
import { type Message, messageText, type Outcome, valuesOf } from "./outcome.ts";
import { readByReference } from "./reference.ts";
import { contextOf } from "./relay-context.ts";

/**
 * Requests on their way through a whole proxy, pipelined and in pieces, with an upstream that answers
 * each with its own words: what arrives there, who gets which answer, and when the connection ends.
 */
export function relayRequests(input: Input, cuts: readonly number[]): Arrived {
  return inMemory((connected) => {
    const caller = new MemorySocket(null);
    const context = contextOf(input);
    const parts = new MessagePartsPool(context.limits);
    new Http1DownstreamConnection(caller.socket, context, () => {}, null, parts);
    const upstreams = new Upstreams(connected);
    const ends = [...cuts, input.text.length];
    for (const [i, end] of ends.entries()) {
      if (caller.closed === null) caller.receive(input.text.slice(ends[i - 1] ?? 0, end));
      // The services are slower than the caller, so that requests wait in more than one piece.
      if (i % 3 === 2) upstreams.answer();
    }
    upstreams.answer();
    return { received: upstreams.received, text: caller.written, isOpen: caller.closed === null };
  });
}

/** What has come of requests at both ends. */
export interface Arrived {
  /** What each service received, in words. */
  readonly received: readonly string[];
  /** What the caller was answered, latin1. */
  readonly text: string;
  readonly isOpen: boolean;
}

/** The services behind the proxy: each request that is whole is answered at once. */
class Upstreams {
  readonly #connected: readonly MemorySocket[];
  /** Bytes of each connection that were answered. */
  readonly #answered: number[] = [];
  readonly #isOver: boolean[] = [];
  readonly received: string[] = [];

  constructor(connected: readonly MemorySocket[]) {
    this.#connected = connected;
  }

  answer(): void {
    for (let isProgress = true; isProgress; ) {
      isProgress = false;
      for (let i = 0; i < this.#connected.length; i++) {
        if (this.#answerOne(i)) isProgress = true;
      }
    }
  }

  #answerOne(index: number): boolean {
    const socket = this.#connected[index];
    if (socket === undefined || socket.closed !== null) return false;
    const answered = this.#answered[index];
    if (answered === undefined) {
      this.#answered[index] = 0;
      socket.connected();
      return true;
    }
    const text = socket.written.slice(answered);
    const [request] = readByReference({ ...ARRIVED, text }).messages;
    if (request === undefined) return false;
    this.#answered[index] = answered + request.end;
    if (this.#isOver[index]) this.received.push("on a connection that was over:");
    this.received.push(requestInWords(request));
    const { text: answer, isLast } = answerTo(request);
    this.#isOver[index] = isLast;
    socket.receive(answer);
    if (isLast && socket.closed === null) socket.peerEnded();
    return true;
  }
}

interface Answer {
  readonly text: string;
  /** No other request may be sent on the connection. */
  readonly isLast: boolean;
}

/** Each way to answer, mixed on one connection; which it is follows from the request. */
function answerTo(request: Message): Answer {
  const name = nameOf(request);
  const content = request.what === "HEAD" ? "" : name;
  const chunks = content && `${name.length.toString(16)}\r\n${name}\r\n0\r\n\r\n`;
  const length = `Content-Length: ${name.length}\r\n`;
  switch (wayOf(request)) {
    case "length":
      return { text: `${OK}${length}\r\n${content}`, isLast: false };
    case "chunks":
      return { text: `${OK}Transfer-Encoding: chunked\r\n\r\n${chunks}`, isLast: false };
    case "close":
      return { text: `${OK}${length}Connection: close\r\n\r\n${content}`, isLast: true };
    case "more":
      // What nobody asked for must reach nobody.
      return {
        text: `${OK}${length}\r\n${content}${OK}Content-Length: 4\r\n\r\nevil`,
        isLast: true,
      };
    default:
      return { text: `HTTP/1.0 200 OK\r\n\r\n${content}`, isLast: true };
  }
}

const OK = "HTTP/1.1 200 OK\r\n";
const WAYS = ["length", "chunks", "close", "more", "until-close"] as const;

function wayOf(request: Message): (typeof WAYS)[number] {
  return WAYS[nameOf(request).length % WAYS.length] ?? "length";
}

const ARRIVED: Omit<Input, "text"> = { kind: "requests", methods: [], limits: "wide" };

function requestInWords(request: Message): string {
  return JSON.stringify(messageText({ ...request, keepsAlive: true, end: 0 }));
}

/** What tells a request from others. */
function nameOf({ what, target, body }: Message): string {
  return `${what} ${target} ${body.length}`;
}

/** The same in words. `outcome`: the requests of the input as they were read, since answers to HEAD have no body. */
export function arrivedInWords(
  { received, text, isOpen }: Arrived,
  input: Input,
  outcome: Outcome,
): string {
  const { messages, unfinished } = outcome;
  const read = [...messages, ...(unfinished === null ? [] : [unfinished])];
  const methods = [...read.map(({ what }) => what), refusedMethod(input, outcome)];
  const answers = readByReference({ kind: "responses", text, methods, limits: "wide" });
  const rest = answers.unfinished === null ? [] : ["an answer that is not whole"];
  const state = isOpen ? "open" : "closed";
  return [...received, ...answers.messages.map(answerInWords), ...rest, state].join("\n");
}

/** Of a request whose head was refused behind its first line. */
function refusedMethod({ text }: Input, { messages, end }: Outcome): string {
  const line = text.slice(messages.at(-1)?.end ?? 0).replace(/^\r\n/, "");
  const isRead = end !== "target-too-long" && /^[^ ]+ [!-"$-~]+ HTTP\/1\.[01]\r\n/.test(line);
  return isRead ? line.slice(0, line.indexOf(" ")) : "";
}

function answerInWords({ what, fields, body }: Message): string {
  const code = /^([a-z-]+); by=shop\/cart$/.exec(valuesOf(fields, "forklane-fault")[0] ?? "")?.[1];
  return code === undefined ? `${what} ${body}` : `${what} ${code}`;
}

/** What has to come of the requests of an input, by the reference's reading. */
export function expectedRequests(outcome: Outcome): string {
  const received: string[] = [];
  const answers: string[] = [];
  const said = (state: string) => [...received, ...answers, state].join("\n");
  for (const message of outcome.messages) {
    const fault = faultOfHead(message);
    if (fault !== null) return said(`${faultText(fault)}\nclosed`);
    const forwarded = passedOn(message);
    received.push(requestInWords(forwarded));
    answers.push(`200 ${message.what === "HEAD" ? "" : nameOf(forwarded)}`);
    // To a caller of HTTP/1.0 no chunks are sent: the end of the connection is the body's.
    const mayEndBody = message.minorVersion === 0 && message.what !== "HEAD";
    const isUnsized = ["chunks", "until-close"].includes(wayOf(forwarded));
    if (!message.keepsAlive || (mayEndBody && isUnsized)) return said("closed");
  }
  const fault = outcome.unfinished === null ? null : faultOfHead(outcome.unfinished);
  const code = fault ?? (outcome.end in FAULTS ? (outcome.end as FaultCode) : null);
  return said(code === null ? "open" : `${faultText(code)}\nclosed`);
}

function faultText(code: FaultCode): string {
  return `${FAULTS[code].status} ${code}`;
}

function faultOfHead(message: Message): FaultCode | null {
  if (isRefusedHead(message)) return "field-protected";
  return countsForwards(message) && counts(message).includes(0) ? "forwards-used-up" : null;
}

/** RFC 9110 section 7.6.2: of these methods alone. */
function countsForwards({ what }: Message): boolean {
  return what === "OPTIONS" || what === "TRACE";
}

function counts({ fields }: Message): number[] {
  return valuesOf(fields, "max-forwards").filter(isCount).map(Number);
}

/** Ours: a larger count becomes this one. */
const FORWARDS_MAX = 9_999_999_999;

function isCount(value: string): boolean {
  return /^[0-9]+$/.test(value);
}

function passedOn(message: Message): Message {
  const forwarded = expectedRequest(
    { ...message, fields: withoutOurs(message.fields) },
    "127.0.0.1:1",
  );
  if (!countsForwards(message)) return forwarded;
  const fields = forwarded.fields.map((value, i, all) => {
    const isCounted = i % 2 === 1 && all[i - 1]?.toLowerCase() === "max-forwards" && isCount(value);
    return isCounted ? String(Math.min(Number(value) - 1, FORWARDS_MAX)) : value;
  });
  return { ...forwarded, fields };
}

/** Nobody outside may say what is ours to say: no field of ours, and no mark of ours in baggage. */
function withoutOurs(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const [name = "", value = ""] = fields.slice(i, i + 2);
    const isBaggage = name.toLowerCase() === "baggage";
    const rest = isBaggage ? withoutMarks(value) : value;
    if (/^forklane-/i.test(name) || (isBaggage && rest === "")) continue;
    kept.push(name, rest);
  }
  return kept;
}

function withoutMarks(value: string): string {
  const members = value.split(",");
  const kept = members.filter(
    (member) => !/^[ \t]*forklane-(?:hop|run)[ \t]*(?:[=;]|$)/.test(member),
  );
  if (kept.length === members.length) return value;
  return kept
    .join(",")
    .replace(/^[ \t]+/, "")
    .replace(/[ \t]+$/, "");
}
