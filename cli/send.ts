import { request } from "undici";
import { CliError } from "./cli-error.ts";

/** A request to send as it is. */
export interface OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
  readonly timeoutMs: number;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** Whether the body was longer than ANSWER_BYTES_MAX and is cut. */
  readonly isCut: boolean;
}

/** Bytes of an answer that are kept: for a person or an agent to look at. */
export const ANSWER_BYTES_MAX = 256 * 1024;

/** Sends one request and reads the answer; throws `request-failed` when there is none. */
export async function send(outgoing: OutgoingRequest): Promise<Answer> {
  try {
    const response = await request(outgoing.url, {
      method: outgoing.method,
      headers: outgoing.headers.flat(),
      body: outgoing.body,
      // A connection kept open would make the proxy at its other end wait for us when it stops.
      reset: true,
      signal: AbortSignal.timeout(outgoing.timeoutMs),
    });
    const { text, isCut } = await readBody(response.body);
    return { status: response.statusCode, headers: response.headers, body: text, isCut };
  } catch (cause) {
    throw new CliError(
      "request-failed",
      `${outgoing.method} ${outgoing.url.href} got no answer: ${why(cause, outgoing.timeoutMs)}`,
      { fix: `check that something listens at ${outgoing.url.host}`, cause },
    );
  }
}

async function readBody(body: AsyncIterable<Buffer>): Promise<{ text: string; isCut: boolean }> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    // Leaving the loop closes the connection: nothing more is read.
    if (bytes > ANSWER_BYTES_MAX) break;
  }
  const text = Buffer.concat(pieces).subarray(0, ANSWER_BYTES_MAX).toString("utf8");
  return { text, isCut: bytes > ANSWER_BYTES_MAX };
}

function why(cause: unknown, timeoutMs: number): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === "TimeoutError") return `none within ${timeoutMs} ms`;
  const { code } = cause as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" ? "connection refused" : cause.message || (code ?? cause.name);
}
