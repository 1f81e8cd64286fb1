import type { Trailers } from "../message/field-list.ts";

/**
 * The request body as far as it may have to be sent (again): kept until the limit, then let go.
 *
 * Before: the downstream connection. After: the upstream connection.
 * Invariant: bounded; once let go, the request can no longer be sent once more. Small pieces are
 * joined, or chunks of one byte would hold a hundred times what they say.
 */
export class RequestBody {
  readonly #bytesMax: number;
  #pieces: Buffer[] = NO_PIECES;
  /** How many of them, from the first, are joined already. */
  #joined = 0;
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
    return this.#pieces;
  }

  /** Keeps a piece. `mustKeep`: it was not sent to anybody yet. */
  add(piece: Buffer, mustKeep: boolean): void {
    this.bytes += piece.length;
    if (!this.isReplayable && !mustKeep) return;
    if (this.#pieces === NO_PIECES) this.#pieces = [piece];
    else this.#pieces.push(piece);
    if (this.#pieces.length - this.#joined === APART_MAX) this.#join();
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
    this.#joined = 0;
    this.keptBytes = 0;
  }

  #join(): void {
    this.#pieces.push(Buffer.concat(this.#pieces.splice(this.#joined)));
    this.#joined++;
  }
}

/** Of a request without a body: shared, and never added to. */
const NO_PIECES: Buffer[] = [];

/** Pieces that are kept each by itself: a body in pieces of a usual size never has so many. */
const APART_MAX = 256;
