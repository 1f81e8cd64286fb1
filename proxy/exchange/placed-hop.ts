import { randomFillSync } from "node:crypto";
import {
  BEFORE_ROOT,
  HOP_AT,
  ID_CHARS,
  MARK_CHARS,
  ROOT_AT,
  type ValueCodes,
} from "../routing/hop-mark.ts";

/**
 * Where one exchange stands in the tree of hops that one request causes, written as its mark is sent:
 * `forklane-hop=<root>.<hop>,`.
 *
 * Before: exchange/hop.ts. After: message/head-edit.ts, telemetry/access-log-line.ts.
 * Invariant: an id that is made here is 64 random bits.
 * Hot path of tagged traffic: records are made many at a time, in one buffer that their hops refer to,
 * and strings only for those who ask.
 */
export class PlacedHop {
  /**
   * The mark stands in `bytes` from `start` on, MARK_CHARS long; behind it the parent, if there is one, and
   * the line that tells the caller of a new tree.
   */
  readonly bytes: Buffer;
  readonly start: number;
  readonly hasParent: boolean;
  /** Whether the root was made here: nobody marked the request before. */
  readonly isEntry: boolean;

  constructor(bytes: Buffer, start: number, hasParent: boolean, isEntry: boolean) {
    this.bytes = bytes;
    this.start = start;
    this.hasParent = hasParent;
    this.isEntry = isEntry;
  }

  /** Id of the whole tree; empty where the exchange is in none. */
  get root(): string {
    return idAt(this.bytes, this.start + ROOT_AT);
  }

  /** Id of this hop; empty where the exchange is in no tree. */
  get hop(): string {
    return idAt(this.bytes, this.start + HOP_AT);
  }

  /** The hop that caused this one; null where nobody knows. */
  get parent(): string | null {
    return this.hasParent ? idAt(this.bytes, this.start + PARENT_AT) : null;
  }
}

/** Where behind a mark its hop's parent stands. */
export const PARENT_AT = MARK_CHARS;

/** The header that tells the caller which tree its request has begun. */
export const TRACE_HEADER = "forklane-trace";
const BEFORE_TRACE = `${TRACE_HEADER}: `;
const TRACE_END = "\r\n";
/** Where behind the mark of an entry that line stands, and how long it is, its line end included. */
export const TRACE_AT = PARENT_AT + ID_CHARS;
export const TRACE_CHARS = BEFORE_TRACE.length + ID_CHARS + TRACE_END.length;

/** Untagged: not part of any tree. */
export const NO_HOP = new PlacedHop(Buffer.alloc(0), 0, false, false);

/** A hop with a new id in a new tree: where a request enters. */
export function entryHop(): PlacedHop {
  const hop = placed(false, true);
  const { bytes, start } = hop;
  putNewId(bytes, start + ROOT_AT);
  putNewId(bytes, start + HOP_AT);
  const rootAt = start + TRACE_AT + BEFORE_TRACE.length;
  for (let i = 0; i < ID_CHARS; i++) bytes[rootAt + i] = bytes[start + ROOT_AT + i] as number;
  return hop;
}

/** A hop with a new id, caused by `parent` in the tree `root`. */
export function nextHop(root: string, parent: string): PlacedHop {
  const hop = placed(true, false);
  putId(root, hop.bytes, hop.start + ROOT_AT);
  putNewId(hop.bytes, hop.start + HOP_AT);
  putId(parent, hop.bytes, hop.start + PARENT_AT);
  return hop;
}

/** The same, of the mark with which the value of a field begins. */
export function nextHopOf(fields: ValueCodes, index: number): PlacedHop {
  const hop = placed(true, false);
  const { bytes, start } = hop;
  for (let i = 0; i < ID_CHARS; i++) {
    bytes[start + ROOT_AT + i] = fields.valueCode(index, ROOT_AT + i);
    bytes[start + PARENT_AT + i] = fields.valueCode(index, HOP_AT + i);
  }
  putNewId(bytes, start + HOP_AT);
  return hop;
}

/** A hop that another proxy opened for the same call. */
export function sharedHop(root: string, id: string, parent: string | null): PlacedHop {
  const hop = placed(parent !== null, false);
  putId(root, hop.bytes, hop.start + ROOT_AT);
  putId(id, hop.bytes, hop.start + HOP_AT);
  if (parent !== null) putId(parent, hop.bytes, hop.start + PARENT_AT);
  return hop;
}

/** Records that are made at once, still without their ids: 6 KB, which a hop that is kept keeps too. */
const BATCH = 64;
const EMPTY_ID = "0".repeat(ID_CHARS);
const EMPTY_TRACE = `${BEFORE_TRACE}${EMPTY_ID}${TRACE_END}`;
const EMPTY_RECORD = `${BEFORE_ROOT}${EMPTY_ID}.${EMPTY_ID},${EMPTY_ID}${EMPTY_TRACE}`;
const EMPTY_BATCH = Buffer.from(EMPTY_RECORD.repeat(BATCH), "latin1");
let batch = EMPTY_BATCH;
let used = BATCH;

/** A batch is not written over later: whoever keeps a hop keeps its batch. */
function placed(hasParent: boolean, isEntry: boolean): PlacedHop {
  if (used === BATCH) {
    batch = Buffer.from(EMPTY_BATCH);
    used = 0;
  }
  return new PlacedHop(batch, used++ * EMPTY_RECORD.length, hasParent, isEntry);
}

function putId(id: string, bytes: Buffer, at: number): void {
  for (let i = 0; i < ID_CHARS; i++) bytes[at + i] = id.charCodeAt(i);
}

/** Random bytes are asked for many at a time: a call costs far more than the bytes. */
const random = Buffer.alloc(4 * 1024);
let randomUsed = random.length;
const HEX = Buffer.from("0123456789abcdef", "latin1");

function putNewId(bytes: Buffer, at: number): void {
  if (randomUsed === random.length) {
    randomFillSync(random);
    randomUsed = 0;
  }
  for (let i = 0; i < ID_CHARS; i += 2) {
    const byte = random[randomUsed++] as number;
    bytes[at + i] = HEX[byte >> 4] as number;
    bytes[at + i + 1] = HEX[byte & 0xf] as number;
  }
}

function idAt(bytes: Buffer, start: number): string {
  return bytes.toString("latin1", start, start + ID_CHARS);
}
