import type { Limits } from "../limits.ts";
import { GrowingBytes } from "../message/growing-bytes.ts";
import { CR } from "./bytes.ts";
import type { Http1Head, Http1RequestHead, Http1ResponseHead } from "./head.ts";
import {
  COMPLETE,
  HeadProgress,
  INCOMPLETE,
  type ParseOutcome,
  parseRequestHead,
  parseResponseHead,
} from "./parse-head.ts";

/** One of parse-head.ts's two entries. */
export type ParseHead<H extends Http1Head> = (
  bytes: Buffer,
  end: number,
  head: H,
  progress: HeadProgress,
  limits: Limits,
) => ParseOutcome;

/**
 * Reads one head after another from a connection, each in one piece or in many.
 *
 * Before: the connection that reads. After: http1/parse-head.ts.
 * Invariant: each byte is parsed once, and copied twice on average at most, however it arrives.
 * Hot path: a head that arrives whole is not copied.
 */
export class HeadReader<H extends Http1Head> {
  readonly head: H;
  readonly #parse: ParseHead<H>;
  readonly #limits: Limits;
  readonly #progress = new HeadProgress();
  /** What arrived of a head that came in pieces; null while it may come in one. */
  #joined: GrowingBytes | null = null;
  /** After COMPLETE: the offset behind the head, in the bytes that were passed last. */
  next = 0;

  constructor(head: H, parse: ParseHead<H>, limits: Limits) {
    this.head = head;
    this.#parse = parse;
    this.#limits = limits;
  }

  /** Whether part of a head has arrived. */
  get isBegun(): boolean {
    return this.#joined !== null;
  }

  /** Whether that is more than the empty line which may stand before a request (RFC 9112 section 2.2). */
  get isBeyondEmptyLine(): boolean {
    return this.#joined !== null && (this.#joined.length > 2 || this.#joined.room[0] !== CR);
  }

  /** Whether the first line of the head read last, or in progress, was whole and valid. */
  get hasStartLine(): boolean {
    return this.#progress.startLineDone;
  }

  /** Reads on, in `bytes` from `start` to `end`. */
  read(bytes: Buffer, start: number, end: number): ParseOutcome {
    if (this.#joined !== null) return this.#readJoined(this.#joined, bytes, start, end);
    this.#progress.reset(start);
    const outcome = this.#parse(bytes, end, this.head, this.#progress, this.#limits);
    if (outcome === COMPLETE) this.next = this.head.end;
    else if (outcome === INCOMPLETE) this.#keep(bytes, start, end);
    return outcome;
  }

  #readJoined(joined: GrowingBytes, bytes: Buffer, start: number, until: number): ParseOutcome {
    // What lies past the limit is not looked at, so it is not copied either.
    const end = Math.min(until, start + this.#joinedBytesMax - joined.length);
    joined.add(bytes, start, end);
    const outcome = this.#parse(
      joined.room,
      joined.length,
      this.head,
      this.#progress,
      this.#limits,
    );
    if (outcome !== COMPLETE) return outcome;
    this.next = end - (joined.length - this.head.end);
    this.#joined = null;
    return COMPLETE;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    this.#joined = new GrowingBytes(this.#joinedBytesMax);
    this.#joined.add(bytes, start, end);
    this.#progress.reset(0);
  }

  /** A head of the limit's size, with the empty line that may stand before it. */
  get #joinedBytesMax(): number {
    return this.#limits.headBytesMax + 2;
  }
}

/** A reader of request heads, with the head that it fills. */
export function requestHeadReader(
  head: Http1RequestHead,
  limits: Limits,
): HeadReader<Http1RequestHead> {
  return new HeadReader(head, parseRequestHead, limits);
}

/** A reader of response heads, with the head that it fills. */
export function responseHeadReader(
  head: Http1ResponseHead,
  limits: Limits,
): HeadReader<Http1ResponseHead> {
  return new HeadReader(head, parseResponseHead, limits);
}
