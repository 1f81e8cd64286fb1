import { err, ok, type Result } from "./result.ts";

/**
 * Reads JSON that somebody else wrote.
 *
 * Invariants: what is wrong is said by its place, if at all, never by what stands there, since a wrong path
 * may lead to a secret; and what costs many times its length, in memory and in time, is refused unread: `[`
 * costs Node 50 bytes.
 */

/** Lists and objects within each other: a table has six. */
export const JSON_DEPTH_MAX = 32;

/** Lists and objects in one document: the routes of one that is 16 MiB long are 300,000, with two each. */
export const JSON_CONTAINERS_MAX = 1_000_000;

/** The value, or what is wrong, and where if that is known, as the rest of a sentence: `is no JSON ...`. */
export function parseJson(text: string): Result<unknown, string> {
  const refused = refusal(text);
  if (refused !== null) return err(refused);
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    // The rest of its message may quote the text.
    const place = /\(line \d+ column \d+\)$/.exec((error as Error).message);
    return err(place === null ? "is no JSON" : `is no JSON ${place[0]}`);
  }
}

/** Why the text is not even tried. Hardly slower than to look at each character once. */
function refusal(text: string): string | null {
  let depth = 0;
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      depth++;
      count++;
      if (depth > JSON_DEPTH_MAX) {
        return `has more than ${JSON_DEPTH_MAX} lists and objects within each other`;
      }
      if (count > JSON_CONTAINERS_MAX) {
        return `has more than ${JSON_CONTAINERS_MAX} lists and objects`;
      }
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      depth--;
    }
  }
  return null;
}

/** Where the string that begins at `at` ends; where the text does if it does not. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
