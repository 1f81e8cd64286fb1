import { Http1DownstreamConnection } from "../../proxy/downstream/http1-connection.ts";
import { MessagePartsPool } from "../../proxy/downstream/message-parts.ts";
import { FAULTS, type FaultCode } from "../../proxy/fault.ts";
import { inMemory, MemorySocket } from "./in-memory.ts";
import { type Input, methodOf } from "./input.ts";
import { type Message, messageText, type Outcome, valuesOf } from "./outcome.ts";
import { readByReference } from "./reference.ts";
import { contextOf } from "./relay-context.ts";

/**
 * A response on its way through a whole proxy: both connections, the exchange and the pool, in memory.
 * What the caller gets has to be what the reference reads of the upstream's bytes, and what is cut
 * short or refused must not look whole.
 */
export interface Relayed {
  /** What the caller received, latin1. */
  readonly text: string;
  /** How its connection was closed; null if it is open. */
  readonly closed: MemorySocket["closed"];
}

/** The minor version of the caller's request, from the bytes, so that a smaller input keeps it. */
export function callersVersion({ text }: Input): 0 | 1 {
  return text.length % 4 === 0 ? 0 : 1;
}

/** Sends one request through the proxy, and answers it with the bytes of the input, cut. */
export function relayResponse(input: Input, cuts: readonly number[]): Relayed {
  return inMemory((connected) => {
    const caller = new MemorySocket(null);
    const context = contextOf(input);
    const parts = new MessagePartsPool(context.limits);
    new Http1DownstreamConnection(caller.socket, context, () => {}, null, parts);
    caller.receive(requestText(input));
    const [upstream] = connected;
    if (upstream === undefined) throw new Error("the proxy has not connected");
    upstream.connected();
    let start = 0;
    for (const cut of [...cuts, input.text.length]) {
      if (upstream.closed === null) upstream.receive(input.text.slice(start, cut));
      start = cut;
    }
    if (upstream.closed === null) upstream.peerEnded();
    return { text: caller.written, closed: caller.closed };
  });
}

function requestText(input: Input): string {
  return `${methodOf(input, 0)} / HTTP/1.${callersVersion(input)}\r\nHost: a\r\n\r\n`;
}

/**
 * Whether the caller got what it has to, one of `expected`. Of what is cut off it may get less, as content
 * that was not handed over yet is given up, but never other bytes, and never an end.
 */
export function isRelayed(seen: string, expected: readonly string[]): boolean {
  if (expected.includes(seen)) return true;
  const wanted = (expected[0] ?? "").split("\n");
  const lines = seen.split("\n");
  if (!wanted.at(-2)?.startsWith("cut ") || lines.pop() !== "closed") return false;
  if (lines.length !== wanted.length - 1) return false;
  return lines.every((line, i) => line === wanted[i] || isBegun(line, wanted[i] ?? ""));
}

function isBegun(line: string, wanted: string): boolean {
  const [head, body = ""] = line.split("\t");
  const [wantedHead, wantedBody = ""] = wanted.split("\t");
  return line.startsWith("cut ") && head === wantedHead && wantedBody.startsWith(body);
}

/** What the caller got, in words. */
export function relayedInWords(input: Input, { text, closed }: Relayed): string {
  const methods = [methodOf(input, 0)];
  const read = readByReference({ kind: "responses", text, methods, limits: "wide" });
  const messages = read.messages.map((message) =>
    inWords({ ...message, keepsAlive: true, end: 0 }),
  );
  // Until the connection ends is whole only if it ends in order.
  const isWhole =
    read.unfinished === null &&
    ["clean", "closed"].includes(read.end) &&
    !(closed === "reset" && read.messages.at(-1)?.framing === "until-close");
  const unfinished = read.unfinished ?? (isWhole ? null : (read.messages.at(-1) ?? null));
  if (!isWhole && read.unfinished === null) messages.pop();
  if (unfinished !== null) messages.push(cutInWords(unfinished));
  // RFC 9112 section 4: the space behind the status stands there without a reason, too.
  const isStrict = text === "" || /^HTTP\/1\.1 [1-9]\d\d /.test(text);
  if (!isStrict) messages.push("a status line without its space");
  return [...messages, isWhole && closed === null ? "open" : "closed"].join("\n");
}

/**
 * What the caller has to get, by the reference's reading of what the upstream sent; the second where what is
 * wrong with a response came with its head, so that none of it had left.
 */
export function expectedRelayed(input: Input): readonly string[] {
  const outcome = readByReference(firstFinalOf(input));
  const version = callersVersion(input);
  const interim = outcome.messages.filter(({ what }) => what.startsWith("1") && what !== "101");
  const told = version === 0 ? [] : interim.slice(0, INTERIM_MAX).map(interimInWords);
  if (interim.length > INTERIM_MAX)
    return [[...told, fault("upstream-head-too-large", input)].join("\n")];
  const last = outcome.messages.at(-1);
  if (last !== undefined && !last.what.startsWith("1")) {
    const relayed = relayedMessage(last, version);
    const isOpen = relayed.keepsAlive ? "open" : "closed";
    return [[...told, inWords(relayed), isOpen].join("\n")];
  }
  const refused = [...told, fault(faultOf(outcome), input)].join("\n");
  if (outcome.unfinished === null) return [refused];
  const cutOff = cutInWords(relayedMessage(outcome.unfinished, version));
  const isWrong = outcome.end !== "cut";
  return [[...told, cutOff, "closed"].join("\n"), ...(isWrong ? [refused] : [])];
}

const INTERIM_MAX = 16;

/** The bytes up to the first final response: what stands behind it belongs to nobody. */
function firstFinalOf(input: Input): Input {
  const { messages } = readByReference(input);
  const final = messages.find(({ what }) => !what.startsWith("1"));
  return final === undefined ? input : { ...input, text: input.text.slice(0, final.end) };
}

/** What ends a response of which the caller has nothing. */
function faultOf({ end }: Outcome): FaultCode {
  if (end.endsWith("-too-large") || end === "target-too-long") return "upstream-head-too-large";
  // Nobody asked to leave HTTP.
  return end === "cut" || end === "clean" ? "upstream-closed" : "upstream-malformed";
}

function fault(code: FaultCode, input: Input): string {
  const isOpen = callersVersion(input) === 1 ? "open" : "closed";
  return `${FAULTS[code].status} ${code}\n${isOpen}`;
}

/** RFC 9110 section 7.6.1, 6.6.1; RFC 9112 sections 6.1 and 6.2; and nothing that says it is ours. */
function relayedMessage(message: Message, version: 0 | 1): Message {
  const { what, framing } = message;
  const unsized = version === 1 ? "chunked" : "until-close";
  const isUnsized = framing === "chunked" || framing === "until-close";
  const kept = endToEnd(message).filter(([name]) => {
    if (name === "content-length") return what !== "204";
    if (name !== "transfer-encoding") return !OURS.includes(name);
    return version === 1 && (framing !== "none" || Number(what) >= 300);
  });
  const hasDate = kept.some(([name]) => name === "date");
  if (!hasDate) kept.push(["date", DATE]);
  if (framing === "until-close" && version === 1) kept.push(["transfer-encoding", "chunked"]);
  if (version === 0) kept.push(["connection", "close"]);
  return {
    ...message,
    minorVersion: 1,
    fields: kept.flat(),
    framing: isUnsized ? unsized : framing,
    trailers: version === 1 ? withoutNominated(message, message.trailers) : [],
    keepsAlive: version === 1,
    end: 0,
  };
}

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
const OURS: readonly string[] = ["forklane-decision", "forklane-trace"];

function interimInWords(message: Message): string {
  const kept = endToEnd(message).filter(
    ([name]) => !["content-length", "transfer-encoding", ...OURS].includes(name),
  );
  return inWords({ ...message, minorVersion: 1, fields: kept.flat(), framing: "none" });
}

/** Lower-case names and values of the fields that are not this connection's alone, in plain form. */
function endToEnd(message: Message): [string, string][] {
  const kept: [string, string][] = [];
  const fields = withoutNominated(message, message.fields);
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? "").toLowerCase();
    if (!HOP_BY_HOP.includes(name)) kept.push([name, plainValue(name, fields[i + 1] ?? "")]);
  }
  return kept;
}

/** Of fields or trailers of the message those that its Connection does not name (RFC 9110 section 7.6.1). */
function withoutNominated({ fields }: Message, those: readonly string[]): string[] {
  const options = valuesOf(fields, "connection").join(",").toLowerCase().split(",");
  const nominated = options
    .map((option) => option.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((option) => option !== "" && !KNOWN.test(option));
  const isNominated = (i: number) => nominated.includes((those[i - (i % 2)] ?? "").toLowerCase());
  return those.filter((_, i) => !isNominated(i));
}

/** What frames, and what we read, is not taken away by a name in Connection. */
const KNOWN =
  /^(?:host|transfer-encoding|content-length|expect|baggage|cookie|max-forwards|forklane-.*)$/;

const HOP_BY_HOP: readonly string[] =
  "connection keep-alive proxy-connection te upgrade http2-settings".split(" ");

function plainValue(name: string, value: string): string {
  if (name === "transfer-encoding") return "chunked";
  return name === "content-length" ? String(Number(value)) : value;
}

function cutInWords(message: Message): string {
  const head = inWords({ ...message, framing: "", body: "", trailers: [] });
  return `cut ${head}\t${oneLine(message.body)}`;
}

function oneLine(text: string): string {
  return text.replace(/[\\\n\t]/g, (byte) => `\\${byte.charCodeAt(0)}.`);
}

/** A message in words, on one line; of an answer of ours its code. */
function inWords(message: Message): string {
  const fields = message.fields.map((each, i) => (i % 2 === 0 ? each.toLowerCase() : each));
  const at = fields.indexOf("forklane-fault");
  const ours = at < 0 ? null : /^([a-z-]+); by=shop\/cart$/.exec(fields[at + 1] ?? "");
  if (ours !== null) return `${message.what} ${ours[1]}`;
  return oneLine(messageText({ ...message, fields, keepsAlive: true, end: 0 }));
}
