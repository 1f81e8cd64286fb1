import { NO_HOP } from "../exchange/placed-hop.ts";
import type { FinishedExchange } from "../exchange/record.ts";
import { HOP_AT, ID_CHARS, ROOT_AT } from "../routing/hop-mark.ts";
import { AsciiLine, asciiBytes, asciiJson } from "./ascii-line.ts";
import { LINE_BYTES_MAX } from "./line.ts";
import { type SharedFacts, WrittenOutcomes } from "./written-outcomes.ts";

/**
 * Makes the line of one exchange: a JSON object in ASCII, fields in a fixed order, ended by a line feed.
 *
 * Before: telemetry/access-log.ts. After: telemetry/line-file.ts.
 * Invariants: no query string, cookie, credential or baggage other than the tag; control bytes are
 * escaped, so a peer cannot write lines of its own (CVE-2024-45808 in Envoy).
 * Hot path of tagged traffic: what many lines have in common stands together, and is copied.
 */
export class AccessLogLine {
  readonly #workload: string;
  readonly #line = new AsciiLine(LINE_BYTES_MAX);
  readonly #outcomes = new WrittenOutcomes((facts) => this.#outcomeOf(facts));
  #second = -1;
  #secondBytes = asciiBytes("");
  #address: string | null = null;
  #callerBytes = asciiBytes("");

  constructor(workload: string | undefined) {
    this.#workload = workload === undefined ? "" : `,"workload":${asciiJson(workload)}`;
  }

  /** The line; valid until the next call. */
  of(exchange: FinishedExchange): AsciiLine {
    const line = this.#line;
    line.clear();
    this.#time(exchange.startEpochMs);
    this.#outcomes.add(line, exchange);
    line.json(pathOf(exchange.target));
    line.ascii(this.#callerOf(exchange.downstreamAddress));
    line.millis(exchange.endedAtMs - exchange.startedAtMs);
    line.ascii(NAMES.requestBytes);
    line.whole(exchange.requestBytes);
    line.ascii(NAMES.responseBytes);
    line.whole(exchange.responseBytes);
    if (exchange.place === NO_HOP) line.ascii(END);
    else this.#endWithPlace(exchange);
    return line;
  }

  /** From behind the path to the duration; one caller mostly sends many requests in a row. */
  #callerOf(address: string): Uint8Array {
    if (address !== this.#address) {
      this.#address = address;
      this.#callerBytes = asciiBytes(`,"downstream":${asciiJson(address)},"durationMs":`);
    }
    return this.#callerBytes;
  }

  /** ISO 8601 in UTC; the second's text is made once a second. */
  #time(epochMs: number): void {
    const second = Math.floor(epochMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const text = new Date(second * 1000).toISOString().slice(0, -4);
      this.#secondBytes = asciiBytes(`{"time":"${text}`);
    }
    this.#line.ascii(this.#secondBytes);
    this.#line.whole(Math.floor(epochMs - second * 1000), 3);
  }

  /** From behind the time to the name of the path: nearly all that is of interest in a decision. */
  #outcomeOf(facts: SharedFacts): string {
    const { decision, mode, workload, fault, tagText, healed, method, status } = facts;
    const { endpoint, attempt, closedBy, revision } = facts;
    const callee = mode === "outbound" ? `,"callee":${asciiJson(workload)}` : "";
    const tag = tagText === "" ? "" : `,"tag":${asciiJson(tagText)}`;
    const healing = healed === null ? "" : `,"healed":${asciiJson(healed)}`;
    return (
      `Z"${this.#workload}${callee},"decision":"${decision.outcome}","reason":"${decision.reason}"` +
      `,"fault":${jsonOf(fault)},"key":${jsonOf(decision.key)}${tag}${healing}` +
      `,"revision":${jsonOf(revision)},"status":${status},"endpoint":${jsonOf(endpoint)}` +
      `,"attempt":${attempt},"closedBy":${jsonOf(closedBy)}` +
      `,"method":${jsonOf(method)},"path":`
    );
  }

  /** Ids of hops are plain text, ours or checked. */
  #endWithPlace({ place }: FinishedExchange): void {
    const line = this.#line;
    line.ascii(NAMES.root);
    line.part(place.bytes, place.start + ROOT_AT, ID_CHARS);
    line.ascii(NAMES.hop);
    line.part(place.bytes, place.start + HOP_AT, ID_CHARS);
    line.ascii(END_WITH_PLACE);
  }
}

function jsonOf(text: string | null): string {
  return text === null ? "null" : asciiJson(text);
}

const NAMES = {
  requestBytes: asciiBytes(',"requestBytes":'),
  responseBytes: asciiBytes(',"responseBytes":'),
  root: asciiBytes(',"root":"'),
  hop: asciiBytes('","hop":"'),
};
const END_WITH_PLACE = asciiBytes('"}\n');
const END = asciiBytes("}\n");

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
