/** One line as bytes, its line feed included. */
export interface Line {
  readonly bytes: Buffer;
  readonly length: number;
  /** It was longer than whoever made it takes. */
  readonly isCut: boolean;
}

/** Longest line that is taken anywhere. */
export const LINE_BYTES_MAX = 32 * 1024;
