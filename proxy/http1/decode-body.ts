import type { FaultCode } from "../fault.ts";
import type { Limits } from "../limits.ts";
import type { Trailers } from "../message/field-list.ts";
import { FIELD } from "../message/known-field.ts";
import { isForbiddenTrailer } from "../message/relied-on.ts";
import { CR, FIELD_VALUE, HEX, LF, NO_HEX } from "./bytes.ts";
import { Http1Head } from "./head.ts";
import { COMPLETE, parseFieldLine } from "./parse-head.ts";

/**
 * Takes the framing off a body: content out, chunk heads and trailers checked (RFC 9112 section 7.1).
 *
 * Before: http1/framing.ts. After: exchange/exchange.ts.
 * Invariant: chunk heads and extensions are never passed on; the body is framed anew.
 * Hot path: content is passed as slices of what was read, small chunks moved together within it.
 */
export interface BodyReceiver {
  onBody(bytes: Buffer): void;
  onBodyEnd(trailers: Trailers | null): void;
}

type State =
  | "done"
  | "length"
  | "until-close"
  | "size"
  | "extension"
  | "size-lf"
  | "chunk"
  | "chunk-cr"
  | "chunk-lf"
  | "trailers";

/** Leading zeros included; what the digits say is limited to what a number holds exactly. */
const CHUNK_SIZE_DIGITS_MAX = 15;

/** One per connection, reset for each message. */
export class BodyDecoder {
  readonly #limits: Limits;
  #state: State = "done";
  #remaining = 0;
  #sizeDigits = 0;
  #extensionBytes = 0;
  #extensionsBytes = 0;
  #trailerLines: Buffer[] = [];
  #trailerBytes = 0;
  /** Small chunks moved together, not passed on yet: where they stand in what is decoded; -1 for none. */
  #runStart = -1;
  #runEnd = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Prepares for the body that `head` declares; one without a body is done at once. */
  begin(head: Http1Head): void {
    this.#remaining = 0;
    this.#runStart = -1;
    this.#sizeDigits = 0;
    this.#extensionsBytes = 0;
    this.#trailerBytes = 0;
    if (this.#trailerLines.length > 0) this.#trailerLines = [];
    if (!head.hasBody) this.#state = "done";
    else if (head.isChunked) this.#state = "size";
    else if (head.bodyBytes >= 0) {
      this.#state = "length";
      this.#remaining = head.bodyBytes;
    } else this.#state = "until-close";
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Content that is sure to come yet: of a body whose length was declared. */
  get missingBytes(): number {
    return this.#state === "length" ? this.#remaining : 0;
  }

  /** Whether the body ends where the connection ends. */
  get endsWithConnection(): boolean {
    return this.#state === "until-close";
  }

  /** The connection has ended: that completes a body that ends with it. */
  finish(): void {
    this.#state = "done";
  }

  /**
   * Decodes `bytes` from `start` to `end` until the body is done; returns the offset behind it, or
   * a fault. Content goes to `receiver` in order, its end last.
   */
  decode(bytes: Buffer, start: number, end: number, receiver: BodyReceiver): number | FaultCode {
    let at = start;
    while (at < end && this.#state !== "done") {
      switch (this.#state) {
        case "length":
        case "chunk":
          at = this.#content(bytes, at, end, receiver);
          break;
        case "until-close":
          receiver.onBody(bytes.subarray(at, end));
          at = end;
          break;
        case "trailers": {
          this.#passRun(bytes, receiver);
          const next = this.#trailerPiece(bytes, at, end, receiver);
          if (typeof next === "string") return next;
          at = next;
          break;
        }
        default: {
          const fault = this.#frameByte(bytes[at] as number);
          if (fault !== null) {
            this.#passRun(bytes, receiver);
            return fault;
          }
          at++;
        }
      }
    }
    this.#passRun(bytes, receiver);
    return at;
  }

  #content(bytes: Buffer, at: number, end: number, receiver: BodyReceiver): number {
    const next = Math.min(end, at + this.#remaining);
    this.#remaining -= next - at;
    const isLast = this.#remaining === 0;
    const wasChunk = this.#state === "chunk";
    if (isLast) this.#state = wasChunk ? "chunk-cr" : "done";
    if (wasChunk && next - at < SMALL_CHUNK_BYTES) {
      this.#addToRun(bytes, at, next);
      return next;
    }
    this.#passRun(bytes, receiver);
    receiver.onBody(bytes.subarray(at, next));
    if (isLast && !wasChunk) receiver.onBodyEnd(null);
    return next;
  }

  /** Moves a small chunk to the one before it, over framing that was read: a slice each would cost more. */
  #addToRun(bytes: Buffer, start: number, end: number): void {
    if (this.#runStart < 0) {
      this.#runStart = start;
      this.#runEnd = end;
      return;
    }
    for (let at = start; at < end; at++) bytes[this.#runEnd++] = bytes[at] as number;
  }

  #passRun(bytes: Buffer, receiver: BodyReceiver): void {
    if (this.#runStart < 0) return;
    const run = bytes.subarray(this.#runStart, this.#runEnd);
    this.#runStart = -1;
    receiver.onBody(run);
  }

  /** One byte of a chunk head or of the line end behind a chunk. */
  #frameByte(byte: number): FaultCode | null {
    switch (this.#state) {
      case "size":
        return this.#sizeByte(byte);
      case "extension":
        return this.#extensionByte(byte);
      case "size-lf":
        if (byte !== LF) return "body-malformed";
        this.#sizeDigits = 0;
        this.#state = this.#remaining === 0 ? "trailers" : "chunk";
        return null;
      case "chunk-cr":
        this.#state = "chunk-lf";
        return byte === CR ? null : "body-malformed";
      default:
        this.#state = "size";
        return byte === LF ? null : "body-malformed";
    }
  }

  #sizeByte(byte: number): FaultCode | null {
    const digit = HEX[byte] as number;
    if (digit !== NO_HEX) {
      this.#remaining = this.#remaining * 16 + digit;
      const isTooLong = ++this.#sizeDigits > CHUNK_SIZE_DIGITS_MAX;
      return isTooLong || this.#remaining > Number.MAX_SAFE_INTEGER ? "body-malformed" : null;
    }
    if (this.#sizeDigits === 0) return "body-malformed";
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) {
      this.#state = "extension";
      this.#extensionBytes = 0;
    } else return "body-malformed";
    return null;
  }

  #extensionByte(byte: number): FaultCode | null {
    if (byte === CR) {
      this.#state = "size-lf";
      return null;
    }
    if (FIELD_VALUE[byte] === 0) return "body-malformed";
    this.#extensionsBytes++;
    const tooMany =
      ++this.#extensionBytes > this.#limits.chunkExtensionBytesMax ||
      this.#extensionsBytes > this.#limits.chunkExtensionsBytesMax;
    return tooMany ? "body-malformed" : null;
  }

  /** Collects trailer lines up to the empty one (RFC 9112 section 7.1.2). */
  #trailerPiece(
    bytes: Buffer,
    at: number,
    end: number,
    receiver: BodyReceiver,
  ): number | FaultCode {
    const lineFeed = bytes.indexOf(LF, at);
    const next = lineFeed < 0 || lineFeed >= end ? end : lineFeed + 1;
    // A copy: the line may be cut, and what was read is written to again.
    this.#trailerLines.push(Buffer.from(bytes.subarray(at, next)));
    this.#trailerBytes += next - at;
    if (this.#trailerBytes > this.#limits.trailerBytesMax) return "trailers-too-large";
    if (next === end && bytes[end - 1] !== LF) return next;
    const section = Buffer.concat(this.#trailerLines);
    this.#trailerLines = [section];
    if (!endsWithEmptyLine(section)) {
      return section.at(-2) === CR ? next : "body-malformed";
    }
    this.#trailerLines = [];
    const trailers = parseTrailers(section, this.#limits);
    if (typeof trailers === "string") return trailers;
    this.#state = "done";
    receiver.onBodyEnd(trailers);
    return next;
  }
}

/** Chunks below this size are moved together, where several come in one read. */
const SMALL_CHUNK_BYTES = 256;

const SEMICOLON = 0x3b;

function endsWithEmptyLine(section: Buffer): boolean {
  const length = section.length;
  if (section[length - 2] !== CR) return false;
  return length === 2 || (section[length - 3] === LF && section[length - 4] === CR);
}

/** Trailer fields as pairs; null for none; a fault for what must not be there (RFC 9110 6.5.1). */
function parseTrailers(section: Buffer, limits: Limits): Trailers | null | FaultCode {
  const head = new Http1Head();
  head.bytes = section;
  let start = 0;
  for (;;) {
    const lineEnd = section.indexOf(LF, start) - 1;
    const outcome =
      section[lineEnd] === CR
        ? parseFieldLine(section, start, lineEnd, head, limits.trailerFieldsMax)
        : "head-malformed";
    if (outcome === "head-too-large") return "trailers-too-large";
    if (typeof outcome === "string") return "body-malformed";
    if (outcome === COMPLETE) break;
    start = lineEnd + 2;
  }
  const pairs: string[] = [];
  for (let i = 0; i < head.count; i++) {
    const name = head.name(i);
    const id = head.id(i);
    const isForbidden =
      (id !== FIELD.OTHER && id !== FIELD.DATE) || isForbiddenTrailer(name.toLowerCase());
    if (isForbidden) return "body-malformed";
    pairs.push(name, head.value(i));
  }
  return pairs.length === 0 ? null : pairs;
}
