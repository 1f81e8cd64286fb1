import { HOP_AT, NO_HOP, ROOT_AT } from "../exchange/placed-hop.ts";
import type { FinishedExchange } from "../exchange/record.ts";
import type { FaultCode } from "../fault.ts";
import type { Decision } from "../routing/decision.ts";
import { ID_CHARS } from "../routing/hop-mark.ts";
import { AsciiLine, asciiBytes, asciiJson } from "./ascii-line.ts";
import { LINE_BYTES_MAX } from "./line-file.ts";

/**
 * Makes the line of one exchange: a JSON object in ASCII, fields in a fixed order, ended by a line feed.
 *
 * Before: telemetry/access-log.ts. After: telemetry/line-file.ts.
 * Invariants: no query string, cookie, credential or baggage other than the tag; control bytes are
 * escaped, so a peer cannot write lines of its own (CVE-2024-45808 in Envoy).
 * Hot path of tagged traffic: what a decision says of itself is written once and then copied.
 */
export class AccessLogLine {
  readonly #workload: string;
  readonly #line = new AsciiLine(LINE_BYTES_MAX);
  readonly #written = new WeakMap<Decision, WrittenDecision>();
  #second = -1;
  #secondText = "";

  constructor(workload: string | undefined) {
    this.#workload = workload === undefined ? "" : `,"workload":${asciiJson(workload)}`;
  }

  /** The line; valid until the next call. */
  of(exchange: FinishedExchange): AsciiLine {
    const line = this.#line;
    line.clear();
    this.#time(exchange.startEpochMs);
    const written = this.#writtenOf(exchange);
    line.ascii(written.decision);
    line.json(pathOf(exchange.target));
    line.ascii(written.answer);
    line.json(exchange.downstreamAddress);
    line.ascii(NAMES.durationMs);
    this.#millis(exchange.endedAtMs - exchange.startedAtMs);
    line.ascii(NAMES.requestBytes);
    line.whole(exchange.requestBytes);
    line.ascii(NAMES.responseBytes);
    line.whole(exchange.responseBytes);
    this.#end(exchange);
    this.#place(exchange);
    line.ascii(written.revision);
    return line;
  }

  /** ISO 8601 in UTC; the second's text is made once a second. */
  #time(epochMs: number): void {
    const second = Math.floor(epochMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = `{"time":"${new Date(second * 1000).toISOString().slice(0, -4)}`;
    }
    this.#line.text(this.#secondText);
    this.#line.whole(Math.floor(epochMs - second * 1000), 3);
    this.#line.ascii(TIME_END);
  }

  /** Decisions are shared by many exchanges, and most of these are alike. */
  #writtenOf(exchange: FinishedExchange): WrittenDecision {
    const { decision, tagText, fault, method, status, endpoint, revision, healed } = exchange;
    const callee = exchange.mode === "outbound" ? exchange.workload : null;
    const before = this.#written.get(decision);
    const isAlike =
      before !== undefined &&
      before.status === status &&
      before.endpoint === endpoint &&
      before.tagText === tagText &&
      before.method === method &&
      before.fault === fault &&
      before.revisionText === revision &&
      before.callee === callee &&
      before.healed === healed;
    if (isAlike) return before;
    const written: WrittenDecision = {
      ...{ tagText, fault, method, status, endpoint, revisionText: revision, callee, healed },
      decision: asciiBytes(
        `${this.#workload}${callee === null ? "" : `,"callee":${jsonOf(callee)}`},"decision":"${decision.outcome}","reason":"${decision.reason}"` +
          `,"fault":${jsonOf(fault)},"key":${jsonOf(decision.key)}` +
          `${tagText === "" ? "" : `,"tag":${jsonOf(tagText)}`}` +
          `${healed === null ? "" : `,"healed":${jsonOf(healed)}`},"method":${jsonOf(method)},"path":`,
      ),
      answer: asciiBytes(`,"status":${status},"endpoint":${jsonOf(endpoint)},"downstream":`),
      revision: asciiBytes(`,"revision":${jsonOf(revision)}}\n`),
    };
    this.#written.set(decision, written);
    return written;
  }

  #nullable(text: string | null): void {
    if (text === null) this.#line.ascii(NULL);
    else this.#line.json(text);
  }

  /** How it ended: mostly at the first attempt, and with no connection closed. */
  #end({ attempt, closedBy }: FinishedExchange): void {
    const line = this.#line;
    if (attempt === 1 && closedBy === null) {
      line.ascii(USUAL_END);
      return;
    }
    line.ascii(NAMES.attempt);
    line.whole(attempt);
    line.ascii(NAMES.closedBy);
    this.#nullable(closedBy);
  }

  /** Ids of hops are plain text, ours or checked. */
  #place({ place }: FinishedExchange): void {
    const line = this.#line;
    if (place === NO_HOP) return;
    line.ascii(NAMES.root);
    line.part(place.bytes, place.start + ROOT_AT, ID_CHARS);
    line.ascii(NAMES.hop);
    line.part(place.bytes, place.start + HOP_AT, ID_CHARS);
    line.ascii(QUOTE);
  }

  /** Milliseconds with three decimals, without the cost of printing a double. */
  #millis(ms: number): void {
    const micros = Math.max(0, Math.round(ms * 1000));
    const whole = Math.floor(micros / 1000);
    this.#line.whole(whole);
    this.#line.ascii(POINT);
    this.#line.whole(micros - whole * 1000, 3);
  }
}

/** What a line says of a decision and of what came of it, as it was written last. */
interface WrittenDecision {
  readonly tagText: string;
  readonly fault: FaultCode | null;
  readonly method: string;
  readonly status: number;
  readonly endpoint: string | null;
  readonly revisionText: string;
  readonly callee: string | null;
  readonly healed: string | null;
  /** From behind the time to the name of the path. */
  readonly decision: Uint8Array;
  /** From the status to the name of the caller's address. */
  readonly answer: Uint8Array;
  /** The end of the line. */
  readonly revision: Uint8Array;
}

function jsonOf(text: string | null): string {
  return text === null ? "null" : asciiJson(text);
}

const NAMES = {
  durationMs: asciiBytes(',"durationMs":'),
  requestBytes: asciiBytes(',"requestBytes":'),
  responseBytes: asciiBytes(',"responseBytes":'),
  attempt: asciiBytes(',"attempt":'),
  closedBy: asciiBytes(',"closedBy":'),
  root: asciiBytes(',"root":"'),
  hop: asciiBytes('","hop":"'),
};
const USUAL_END = asciiBytes(',"attempt":1,"closedBy":null');
const QUOTE = asciiBytes('"');
const NULL = asciiBytes("null");
const POINT = asciiBytes(".");
const TIME_END = asciiBytes('Z"');

/** Longest path written; a target has up to 16 KiB. */
const PATH_CHARS_MAX = 512;

/** The target without its query: queries hold tokens and names of people. */
export function pathOf(target: string): string {
  const end = endOfPath(target);
  if (end <= PATH_CHARS_MAX) return end === target.length ? target : target.slice(0, end);
  return `${target.slice(0, PATH_CHARS_MAX)}...`;
}

function endOfPath(target: string): number {
  const query = target.indexOf("?");
  const fragment = target.indexOf("#");
  if (query < 0) return fragment < 0 ? target.length : fragment;
  return fragment < 0 ? query : Math.min(query, fragment);
}
