import type { Limits } from "../../proxy/limits.ts";
import type { Dice } from "../harness/dice.ts";

/** Fills the first message up to a limit: one byte below it, there, or one above. */
export function atLimit(dice: Dice, text: string, limits: Limits): string {
  const start = text.startsWith("\r\n") ? 2 : 0;
  const end = text.indexOf("\r\n\r\n", start);
  if (end < 0) return text;
  const offBy = dice.below(3) - 1;
  const begun = dice.oneIn(2) && start === 0 ? `\r\n${text}` : text;
  const shift = begun.length - text.length;
  switch (dice.below(3)) {
    case 0:
      return withLine(begun, end + shift, limits.headBytesMax + offBy - (end + 4 - start));
    case 1:
      return withTarget(begun, start + shift, limits.requestLineBytesMax + offBy);
    default:
      return withTrailer(begun, limits.trailerBytesMax + offBy);
  }
}

/** A field line of so many bytes behind the last one; none where there is no room for one. */
function withLine(text: string, end: number, bytes: number): string {
  const padding = bytes - "\r\nX: ".length;
  return padding < 0
    ? text
    : `${text.slice(0, end)}\r\nX: ${"x".repeat(padding)}${text.slice(end)}`;
}

/** A first line of so many bytes, by its target or its reason. */
function withTarget(text: string, start: number, bytes: number): string {
  const end = text.indexOf("\n", start) + 1;
  const at = text.indexOf("/", start) + 1;
  const missing = bytes - (end - start);
  if (at === 0 || at > end || missing < 0) return text;
  const isResponse = text.startsWith("HTTP/", start);
  const where = isResponse ? end - 2 : at;
  return text.slice(0, where) + "x".repeat(missing) + text.slice(where);
}

/** A trailer section of so many bytes, the empty line included, in one line. */
function withTrailer(text: string, bytes: number): string {
  const at = text.lastIndexOf("\r\n0\r\n\r\n");
  if (at < 0) return text;
  const line = `X: ${"x".repeat(bytes - "X: \r\n\r\n".length)}\r\n`;
  return text.slice(0, at + 5) + line + text.slice(at + 5);
}
