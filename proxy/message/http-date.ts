/**
 * The current time as an HTTP date (RFC 9110 section 5.6.7).
 *
 * Before: exchange/decorated-head.ts, downstream/refuse-connection.ts. After: nothing.
 * Hot path: made once per second.
 */
export function httpDate(epochMs: number): string {
  const now = Math.floor(epochMs / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}

let second = -1;
let text = "";
