import { type FieldList, HASH_START, knownValue, withHashed } from "../message/field-list.ts";
import {
  BODY_UNSIZED,
  type RawHead,
  type RequestHead,
  type ResponseHead,
} from "../message/head.ts";
import { FIELD, knownFieldByName } from "../message/known-field.ts";

/**
 * One HTTP/1.1 head as parsed: offsets into the bytes it came in, nothing copied.
 *
 * Before: http1/parse-head.ts. After: http1/framing.ts.
 * Invariant: offsets are only valid while `bytes` is not written to.
 * Hot path: one object per connection, filled anew for each message; strings are made on demand.
 */
export class Http1Head implements FieldList, RawHead {
  bytes: Buffer = EMPTY;
  start = 0;
  fieldsStart = 0;
  end = 0;
  startLineIsCanonical = true;
  framingIsPlain = true;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  minorVersion = 1;
  /** Set by framing.ts. */
  hasBody = false;
  bodyBytes = 0;
  isChunked = false;
  /** Request: bounds of the method (from `start`) and of the target. */
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Request: where path and query begin within the target (behind scheme and authority). */
  pathStart = 0;
  /** Response. */
  status = 0;

  count = 0;
  present = 0;
  /** Like `present`: the known fields that are there more than once. */
  repeated = 0;
  /** For each field: name start, name end, value start, value end; then the start of the next line. */
  offsets: Int32Array;
  ids: Uint8Array;
  /** The two values read last: a tagged request's baggage and way are looked at in turn by several. */
  recentIndex = -1;
  formerIndex = -1;
  #recentValue = "";
  #formerValue = "";

  constructor() {
    this.offsets = offsetsFor(USUAL_FIELDS);
    this.ids = new Uint8Array(USUAL_FIELDS);
  }

  /** Makes room for more fields than there are. The limit is the parser's to keep. */
  makeRoom(): void {
    const room = 2 * this.ids.length;
    const { offsets, ids } = this;
    this.offsets = offsetsFor(room);
    this.ids = new Uint8Array(room);
    this.offsets.set(offsets);
    this.ids.set(ids);
  }

  id(index: number): number {
    return this.ids[index] as number;
  }

  name(index: number): string {
    const at = index * 4;
    return this.bytes.toString("latin1", this.offsets[at], this.offsets[at + 1]);
  }

  value(index: number): string {
    if (index === this.recentIndex) return this.#recentValue;
    if (index === this.formerIndex) return this.#formerValue;
    const at = index * 4;
    const value = this.bytes.toString("latin1", this.offsets[at + 2], this.offsets[at + 3]);
    // A longer one would stay here for as long as the connection does.
    if (value.length <= RECENT_CHARS_MAX) {
      this.formerIndex = this.recentIndex;
      this.#formerValue = this.#recentValue;
      this.recentIndex = index;
      this.#recentValue = value;
    }
    return value;
  }

  /** Lets go of the bytes; nothing of the head can be read until another one is parsed. */
  forget(): void {
    resetHead(this);
    this.bytes = EMPTY;
    this.#recentValue = "";
    this.#formerValue = "";
  }

  valueLength(index: number): number {
    return (this.offsets[index * 4 + 3] as number) - (this.offsets[index * 4 + 2] as number);
  }

  valueCode(index: number, at: number): number {
    return this.bytes[(this.offsets[index * 4 + 2] as number) + at] as number;
  }

  valueHash(index: number, from: number): number {
    const { bytes, offsets } = this;
    const end = offsets[index * 4 + 3] as number;
    let hash = HASH_START;
    for (let i = (offsets[index * 4 + 2] as number) + from; i < end; i++) {
      hash = withHashed(hash, bytes[i] as number);
    }
    return hash;
  }

  isExactly(index: number, from: number, text: string): boolean {
    const { bytes, offsets } = this;
    const start = (offsets[index * 4 + 2] as number) + from;
    if ((offsets[index * 4 + 3] as number) - start !== text.length) return false;
    for (let i = 0; i < text.length; i++) {
      if (bytes[start + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  isValue(index: number, text: string): boolean {
    const at = index * 4;
    const start = this.offsets[at + 2] as number;
    return isText(this.bytes, start, this.offsets[at + 3] as number, text);
  }

  lineStart(index: number): number {
    return this.offsets[index * 4] as number;
  }

  valueStart(index: number): number {
    return this.offsets[index * 4 + 2] as number;
  }

  find(name: string, from: number): number {
    const known = knownFieldByName(name);
    if (known !== 0) return this.findKnown(known, from);
    for (let i = from; i < this.count; i++) {
      if (this.#isNamed(i, name)) return i;
    }
    return -1;
  }

  findKnown(id: number, from: number): number {
    if ((this.present & (1 << id)) === 0) return -1;
    for (let i = from; i < this.count; i++) {
      if (this.ids[i] === id) return i;
    }
    return -1;
  }

  #isNamed(index: number, name: string): boolean {
    const at = index * 4;
    const start = this.offsets[at] as number;
    return isText(this.bytes, start, this.offsets[at + 1] as number, name);
  }
}

/** Compares bytes with lower-case text, letters without case. */
function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    let byte = bytes[start + i] as number;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    if (byte !== text.charCodeAt(i)) return false;
  }
  return true;
}

function offsetsFor(fields: number): Int32Array {
  return new Int32Array(fields * 4 + 1);
}

/** As many fields as a browser sends, and tracing adds; few heads have more. */
const USUAL_FIELDS = 48;

const EMPTY = Buffer.alloc(0);

/** Longest value that a head remembers. */
const RECENT_CHARS_MAX = 512;

/** No string is made of these, the most frequent first. */
const COMMON_METHODS: readonly string[] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"];

/** A request's head: an Http1Head read as one. Hot path: one per connection. */
export class Http1RequestHead extends Http1Head implements RequestHead {
  get method(): string {
    for (const method of COMMON_METHODS) {
      if (this.isMethod(method)) return method;
    }
    return this.bytes.toString("latin1", this.start, this.methodEnd);
  }

  /** Methods are compared with their case (RFC 9110 section 9.1). */
  isMethod(method: string): boolean {
    if (this.methodEnd - this.start !== method.length) return false;
    for (let i = 0; i < method.length; i++) {
      if (this.bytes[this.start + i] !== method.charCodeAt(i)) return false;
    }
    return true;
  }

  get target(): string {
    // RFC 9112 section 3.2.4: of a URI without path and query, OPTIONS asks about the whole server.
    if (this.pathStart === this.targetEnd) return this.method === "OPTIONS" ? "*" : "/";
    const path = this.bytes.toString("latin1", this.pathStart, this.targetEnd);
    return path.startsWith("?") ? `/${path}` : path;
  }

  get mayUpgrade(): boolean {
    return this.minorVersion === 1;
  }

  /** Of HTTP/1.0 without Host that of a target in absolute-form. */
  get authority(): string {
    const host = knownValue(this, FIELD.HOST);
    if (host !== null) return host;
    const before = this.bytes.toString("latin1", this.targetStart, this.pathStart);
    return before.slice(before.indexOf("//") + 2);
  }

  get fields(): FieldList {
    return this;
  }

  get raw(): RawHead {
    return this;
  }
}

/** A response's head: an Http1Head read as one. Hot path: one per connection. */
export class Http1ResponseHead extends Http1Head implements ResponseHead {
  get fields(): FieldList {
    return this;
  }

  get raw(): RawHead {
    return this;
  }
}

/** Forgets the message before; parsing may begin. */
export function resetHead(head: Http1Head): void {
  head.count = 0;
  head.recentIndex = -1;
  head.formerIndex = -1;
  head.present = 0;
  head.repeated = 0;
  head.startLineIsCanonical = true;
  head.framingIsPlain = true;
  head.minorVersion = 1;
  head.hasBody = false;
  head.bodyBytes = 0;
  head.isChunked = false;
  head.status = 0;
}

/** Declares what framing.ts found: no body, a body of `bytes`, or chunks. */
export function declareBody(head: Http1Head, bytes: number, isChunked: boolean): void {
  head.hasBody = isChunked || bytes === BODY_UNSIZED || bytes > 0;
  head.bodyBytes = bytes;
  head.isChunked = isChunked;
}
