import type { Trailers } from "../message/field-list.ts";

/**
 * The request body as far as it may have to be sent (again): kept until the limit, then let go.
 *
 * Before: the downstream connection. After: the upstream connection.
 * Invariant: bounded; once let go, the request can no longer be sent once more.
 */
export class RequestBody {
  readonly #bytesMax: number;
  #pieces: Buffer[] = [];
  keptBytes = 0;
  isReplayable = true;
  hasEnded = false;
  trailers: Trailers | null = null;
  /** Content so far, kept or not. */
  bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** What is kept, in order. */
  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  /** Keeps a piece. `mustKeep`: it was not sent to anybody yet. */
  add(piece: Buffer, mustKeep: boolean): void {
    this.bytes += piece.length;
    if (!this.isReplayable && !mustKeep) return;
    this.#pieces.push(piece);
    this.keptBytes += piece.length;
    if (!mustKeep) this.letGoBeyondLimit();
  }

  /** All that is kept has been sent: keep it for another time only if it is small enough. */
  letGoBeyondLimit(): void {
    if (this.keptBytes > this.#bytesMax) this.letGo();
  }

  letGo(): void {
    this.isReplayable = false;
    if (this.#pieces.length > 0) this.#pieces = [];
    this.keptBytes = 0;
  }
}
