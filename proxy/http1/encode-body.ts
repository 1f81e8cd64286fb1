/**
 * Puts chunk framing on a piece of content (RFC 9112 section 7.1).
 *
 * Before: exchange/exchange.ts. After: the socket.
 * Hot path: the content itself is not copied; write head, content and CHUNK_END in a row.
 */
export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

export const CHUNK_END = "\r\n";
