import type { Dice } from "../harness/dice.ts";

/** Breaks a text in no place, one, or a few, each byte one character (latin1). */
export function mutate(dice: Dice, text: string): string {
  let mutated = text;
  for (let i = dice.pick([0, 0, 0, 0, 1, 1, 2, 3]); i > 0; i--) mutated = once(dice, mutated);
  return mutated;
}

function once(dice: Dice, text: string): string {
  const at = dice.below(text.length + 1);
  switch (dice.below(11)) {
    case 0:
      return splice(text, at, 1, String.fromCharCode(dice.below(256)));
    case 1:
      return splice(text, at, 0, dice.pick(TELLING));
    case 2:
      return splice(text, at, 1, dice.pick(TELLING));
    case 3:
      return splice(text, at, 1 + dice.below(8), "");
    case 4:
      return splice(text, at, 0, text.slice(at, at + 1 + dice.below(30)));
    case 5:
      return text.slice(0, at);
    case 6:
      return atLineEnd(dice, text, at);
    case 7:
      return withLines(dice, text);
    case 8:
      return splice(text, at, 1, flipped(dice, text.charCodeAt(at)));
    case 9:
      return `${text}${text.slice(at)}`;
    default:
      return splice(text, at, 0, text.slice(dice.below(text.length + 1)).slice(0, 12));
  }
}

/** Bytes and words at which recipients of HTTP/1.1 are known to differ. */
const TELLING: readonly string[] = [
  ...'\r\n\t \0\x0b\x0c\x7f\x80\xa0\xff:;,+-0"#_',
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "\r\r\n",
  "\r\n ",
  "0\r\n\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\x0bchunked\r\n",
  "Connection: close\r\n",
  "Upgrade: websocket\r\nConnection: upgrade\r\n",
  "Host: b\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
  "chunked",
  "identity,",
];

function splice(text: string, at: number, removed: number, added: string): string {
  return text.slice(0, at) + added + text.slice(at + removed);
}

/** Changes the line end that follows. */
function atLineEnd(dice: Dice, text: string, from: number): string {
  const at = text.indexOf("\r\n", from);
  if (at < 0) return text;
  return splice(
    text,
    at,
    2,
    dice.pick(["\n", "\r", "", "\r\r\n", "\n\r", "\r\n\r\n", " \r\n", "\r\n\t"]),
  );
}

/** Takes a line out, doubles it, or puts it somewhere else. */
function withLines(dice: Dice, text: string): string {
  const lines = text.split("\r\n");
  const [line = ""] = lines.splice(dice.below(lines.length), dice.below(2));
  for (let i = dice.below(3); i > 0; i--) lines.splice(dice.below(lines.length + 1), 0, line);
  return lines.join("\r\n");
}

function flipped(dice: Dice, code: number): string {
  return String.fromCharCode(((code || 0) ^ (1 << dice.below(8))) & 0xff);
}
