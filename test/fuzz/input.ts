import { DEFAULT_LIMITS, type Limits } from "../../proxy/limits.ts";

/** Messages: all bytes that one side of a connection sends before it closes. */
export type MessageKind = "requests" | "responses";

/** What is fed to the parsers. */
export interface Input {
  /** Messages; or `fields`, a line each; or `tables`, one routing table in JSON. */
  readonly kind: MessageKind | "fields" | "tables";
  /** Each byte one character (latin1). */
  readonly text: string;
  /** For responses: the methods of the requests that they answer, in order; `GET` behind the last. */
  readonly methods: readonly string[];
  /** So small that short inputs reach them; those of the proxy; or wide, for what it has written. */
  readonly limits: "small" | "default" | "wide";
}

/** The limits of an input, by their name. */
export const LIMITS: Readonly<Record<Input["limits"], Limits>> = {
  default: DEFAULT_LIMITS,
  // What it adds to a head that is just within them may be past them.
  wide: {
    ...DEFAULT_LIMITS,
    headBytesMax: 2 * DEFAULT_LIMITS.headBytesMax,
    requestLineBytesMax: 2 * DEFAULT_LIMITS.requestLineBytesMax,
    headFieldsMax: 2 * DEFAULT_LIMITS.headFieldsMax,
  },
  small: {
    ...DEFAULT_LIMITS,
    headBytesMax: 220,
    requestLineBytesMax: 48,
    headFieldsMax: 6,
    chunkExtensionBytesMax: 8,
    chunkExtensionsBytesMax: 12,
    trailerBytesMax: 40,
    trailerFieldsMax: 2,
  },
};

/** The method that the response with this index answers. */
export function methodOf(input: Input, index: number): string {
  return input.methods[index] ?? "GET";
}
