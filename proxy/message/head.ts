import type { FieldList } from "./field-list.ts";

/** How long the content of a message is: bytes if declared, else this. */
export const BODY_UNSIZED = -1;

/** The head of a request, whatever the protocol version. A view, like its fields. */
export interface RequestHead {
  readonly method: string;
  /** Path and query as received (`/a?b`), or `*`. */
  readonly target: string;
  /** Host and port that the caller addressed; empty if it named none (HTTP/1.0). */
  readonly authority: string;
  readonly fields: FieldList;
  /** Whether content follows; `bodyBytes` is 0 if not, BODY_UNSIZED if its length is not declared. */
  readonly hasBody: boolean;
  readonly bodyBytes: number;
  /** Whether `Upgrade` means anything here: not in HTTP/1.0 (RFC 9110 section 7.8). */
  readonly mayUpgrade: boolean;
  /** The head as bytes, where it came over HTTP/1.1: an HTTP/1.1 upstream passes them on. */
  readonly raw: RawHead | null;
}

/** The head of a response, whatever the protocol version. A view, like its fields. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: FieldList;
  readonly hasBody: boolean;
  readonly bodyBytes: number;
  readonly raw: RawHead | null;
}

/** An HTTP/1.1 head in the bytes it came in, for pass-through to the same protocol. */
export interface RawHead {
  readonly bytes: Buffer;
  /** First byte of the start line. */
  readonly start: number;
  /** First byte of the first field line. */
  readonly fieldsStart: number;
  /** First byte after the empty line that ends the head. */
  readonly end: number;
  /** Whether the start line may be passed on as it is. */
  readonly startLineIsCanonical: boolean;
  /** Whether the field that frames the body is written as everybody writes it. */
  readonly framingIsPlain: boolean;
  /** First byte of a field line; `count` gives the first byte of the empty line. */
  lineStart(index: number): number;
  /** First byte of a field's value, white space before it left out. */
  valueStart(index: number): number;
}
