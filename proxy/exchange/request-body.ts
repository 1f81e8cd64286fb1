import type { Trailers } from "../message/field-list.ts";
import { GrowingBytes } from "../message/growing-bytes.ts";

/**
 * The request body as far as it may have to be sent (again): kept until the limit, then let go.
 *
 * Before: the downstream connection. After: the upstream connection.
 * Invariants: bounded; once let go, the request can no longer be sent once more. A small piece is
 * copied, since the read that it is part of would stay with it: what is kept holds the first read, and of the
 * others at most a read for each APART_BYTES_MIN of content.
 */
export class RequestBody {
  readonly #bytesMax: number;
  #pieces: Buffer[] = NO_PIECES;
  /** Small pieces in one, behind the others; null if there are none. */
  #joined: GrowingBytes | null = null;
  keptBytes = 0;
  isReplayable: boolean;
  hasEnded = false;
  trailers: Trailers | null = null;
  /** Content so far, kept or not. */
  bytes = 0;

  /** `declaredBytes` is what its head says, or less than 0: more than `bytesMax` is never kept. */
  constructor(bytesMax: number, declaredBytes: number) {
    this.#bytesMax = bytesMax;
    this.isReplayable = declaredBytes <= bytesMax;
  }

  /** What is kept, in order. */
  get pieces(): readonly Buffer[] {
    const joined = this.#joined;
    if (joined === null) return this.#pieces;
    return [...this.#pieces, joined.room.subarray(0, joined.length)];
  }

  /** Keeps a piece. `mustKeep`: it was not sent to anybody yet. */
  add(piece: Buffer, mustKeep: boolean): void {
    this.bytes += piece.length;
    if (!this.isReplayable && !mustKeep) return;
    if (this.#pieces === NO_PIECES) this.#pieces = [piece];
    else if (piece.length >= APART_BYTES_MIN) this.#keepApart(piece);
    else this.#join(piece);
    this.keptBytes += piece.length;
    if (!mustKeep) this.letGoBeyondLimit();
  }

  /** All that is kept has been sent: keep it for another time only if it is small enough. */
  letGoBeyondLimit(): void {
    if (this.keptBytes > this.#bytesMax) this.letGo();
  }

  letGo(): void {
    this.isReplayable = false;
    this.#pieces = NO_PIECES;
    this.#joined = null;
    this.keptBytes = 0;
  }

  #keepApart(piece: Buffer): void {
    const joined = this.#joined;
    if (joined !== null) this.#pieces.push(joined.room.subarray(0, joined.length));
    this.#joined = null;
    this.#pieces.push(piece);
  }

  #join(piece: Buffer): void {
    this.#joined ??= new GrowingBytes(Number.POSITIVE_INFINITY);
    this.#joined.add(piece, 0, piece.length);
  }
}

/** Of a request without a body: shared, and never added to. */
const NO_PIECES: Buffer[] = [];

/** Pieces of this length and more stay as they came: a read brings not much more than this beside one. */
const APART_BYTES_MIN = 4 * 1024;
