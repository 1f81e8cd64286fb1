import type { HopRecord } from "../../core/hop-record.ts";
import { PARENT_AT } from "../exchange/placed-hop.ts";
import type { FinishedExchange } from "../exchange/record.ts";
import { HOP_AT, ID_CHARS, ROOT_AT } from "../routing/hop-mark.ts";
import { readTraceId } from "../routing/trace-id.ts";
import { AsciiLine, asciiBytes, asciiJson, asciiOnly } from "./ascii-line.ts";
import { LINE_BYTES_MAX } from "./line.ts";
import { type SharedFacts, WrittenOutcomes } from "./written-outcomes.ts";

/** Who the records are from. */
export interface Recorder {
  /** What the proxy stands next to: the caller of its outbound exchanges. */
  readonly workload: string;
  /** Instance of this proxy. */
  readonly proxy: string;
  readonly sandbox: string | null;
}

/**
 * Makes the hop record of one exchange (core/hop-record.ts): a JSON object in ASCII, ended by a line feed.
 *
 * Before: hop-records.ts. After: held-lines.ts.
 * Invariant: what comes from a peer is checked hex, an address, or a JSON string.
 * Hot path of tagged traffic: no object and no string is made for it.
 */
export class HopRecordLine {
  readonly #from: Recorder;
  readonly #caller: Uint8Array;
  readonly #line = new AsciiLine(LINE_BYTES_MAX);
  readonly #outcomes = new WrittenOutcomes((facts) => this.#outcomeOf(facts));

  constructor(from: Recorder) {
    this.#from = from;
    this.#caller = asciiBytes(asciiJson(from.workload));
  }

  /** The line; valid until the next call. The exchange has its place in a tree. */
  of(exchange: FinishedExchange): AsciiLine {
    const line = this.#line;
    const { place } = exchange;
    line.clear();
    line.ascii(NAMES.root);
    line.part(place.bytes, place.start + ROOT_AT, ID_CHARS);
    line.ascii(NAMES.hop);
    line.part(place.bytes, place.start + HOP_AT, ID_CHARS);
    if (place.hasParent) {
      line.ascii(NAMES.parent);
      line.part(place.bytes, place.start + PARENT_AT, ID_CHARS);
      line.ascii(NAMES.timeMs);
    } else line.ascii(NAMES.noParentTimeMs);
    line.whole(exchange.startEpochMs);
    line.ascii(NAMES.caller);
    if (exchange.mode === "outbound") line.ascii(this.#caller);
    else this.#nullable(exchange.downstreamAddress || null);
    line.ascii(NAMES.traceId);
    this.#nullable(readTraceId(exchange.fields));
    line.ascii(NAMES.requestBytes);
    line.whole(exchange.requestBytes);
    line.ascii(NAMES.responseBytes);
    line.whole(exchange.responseBytes);
    line.ascii(NAMES.ttfbMs);
    if (exchange.firstByteAtMs === 0) line.ascii(NULL);
    else line.millis(exchange.firstByteAtMs - exchange.startedAtMs);
    line.ascii(NAMES.totalMs);
    line.millis(exchange.endedAtMs - exchange.startedAtMs);
    this.#outcomes.add(line, exchange);
    return line;
  }

  #nullable(text: string | null): void {
    if (text === null) this.#line.ascii(NULL);
    else this.#line.json(text);
  }

  /** The members that are the same for all exchanges alike, and the end. */
  #outcomeOf(facts: SharedFacts): string {
    const { decision } = facts;
    const members: SharedMembers = {
      workload: facts.workload,
      proxy: this.#from.proxy,
      mode: facts.mode,
      sandbox: this.#from.sandbox,
      healed: facts.healed,
      tag: facts.tagText,
      key: keyOf(facts),
      outcome: decision.outcome,
      reason: decision.reason,
      revision: facts.revision,
      endpoint: facts.endpoint,
      protocol: facts.protocol,
      status: facts.status,
      attempt: facts.attempt,
      closedBy: facts.closedBy,
      fault: facts.fault,
    };
    const json = asciiOnly(JSON.stringify(members));
    return `,${json.slice(1)}\n`;
  }
}

/** Members that many records have in common; the others are written for each. */
type SharedMembers = Omit<
  HopRecord,
  | "v"
  | "root"
  | "hop"
  | "parent"
  | "timeMs"
  | "caller"
  | "traceId"
  | "requestBytes"
  | "responseBytes"
  | "ttfbMs"
  | "totalMs"
>;

/** The key under which a record is held: the one that decided, else the first of the tag. */
export function keyOf({ decision, tagText }: Pick<SharedFacts, "decision" | "tagText">): string {
  return decision.key ?? firstKey(tagText);
}

/** `jane-42~b!` is counted under `jane-42`; an unreadable tag under the empty key. */
function firstKey(tag: string): string {
  return /^[a-z0-9][a-z0-9-]{0,39}/.exec(tag)?.[0] ?? "";
}

const NAMES = {
  root: asciiBytes('{"v":1,"root":"'),
  hop: asciiBytes('","hop":"'),
  parent: asciiBytes('","parent":"'),
  timeMs: asciiBytes('","timeMs":'),
  noParentTimeMs: asciiBytes('","parent":null,"timeMs":'),
  caller: asciiBytes(',"caller":'),
  traceId: asciiBytes(',"traceId":'),
  requestBytes: asciiBytes(',"requestBytes":'),
  responseBytes: asciiBytes(',"responseBytes":'),
  ttfbMs: asciiBytes(',"ttfbMs":'),
  totalMs: asciiBytes(',"totalMs":'),
};
const NULL = asciiBytes("null");
