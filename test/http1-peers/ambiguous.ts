import { Dice } from "../harness/dice.ts";

/** Ways to say a length, right and wrong; `%` is the length of the body that follows. */
const LENGTHS = [
  ...["Content-Length: %", "Content-Length: 0", "content-length: %", "Content-Length:%"],
  ...["Content-Length: +%", "Content-Length: 0%", "Content-Length:\t%", "Content-Length: % "],
  ...["Content-Length: %, %", "Content-Length: %\r\nContent-Length: 0", "Content-Length : %"],
  ...[
    "Content-Length:\r\n %",
    "Content-Length: 0x%",
    "Content-Length: %_0",
    "X: 1\nContent-Length: %",
  ],
  ...["Content-Length\0: %", "Content_Length: 3", "Content-Length:\x0b%", "Content-Length: -%"],
];

const CODINGS = [
  ...["Transfer-Encoding: chunked", "transfer-encoding: Chunked", "Transfer-Encoding:\tchunked"],
  ...["Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding:"],
  ...["Transfer-Encoding: identity", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked"],
  ...["Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding:\r\n chunked"],
  ...[
    "Transfer-Encoding: chunked\x0b",
    "X: 1\rTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
  ],
  ...['Transfer-Encoding: "chunked"', "Transfer-Encoding: chunked;a=b", "TE: chunked"],
];

const OTHERS = [
  ...["X: 1", "Connection: keep-alive", "Connection: close", "Connection: content-length"],
  ...["Connection: transfer-encoding", "Expect: 100-continue", "Upgrade: h2c", "Trailer: X"],
  ...["Connection: Upgrade\r\nUpgrade: websocket", "Host: b", "Keep-Alive: timeout=5", "X:\x7f"],
];

const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

const BODIES = [
  ...["", "hello", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"],
  ...[HIDDEN, `0\r\n\r\n${HIDDEN}`, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`, "5\nhello\n0\n\n"],
  ...["0005\r\nhello\r\n00\r\n\r\n", "5\r\nhello\r\n0\r\nX: 1\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n"],
  ...["5\r\nhelloXX0\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", `1f\r\n${HIDDEN}\r\n0\r\n\r\n`],
];

const METHODS = ["POST", "POST", "PUT", "GET", "HEAD", "DELETE", "OPTIONS"];
const VERSIONS = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2"];
const LINE_ENDS = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n"];

/** A request that two recipients may take for different things; the same for the same seed. */
export function ambiguousRequest(seed: number, id: number): string {
  const dice = Dice.of(seed, `request ${id}`);
  const body = dice.pick(BODIES);
  const lines = ["Host: a"];
  if (!dice.oneIn(3)) lines.push(dice.pick(LENGTHS).replaceAll("%", String(body.length)));
  if (!dice.oneIn(3)) lines.push(dice.pick(CODINGS));
  if (dice.oneIn(2)) lines.push(dice.pick(OTHERS));
  if (dice.oneIn(4)) lines.reverse();
  const first = `${dice.pick(METHODS)} /made-${id} ${dice.pick(VERSIONS)}`;
  const head = [first, ...lines].map((line) => line + dice.pick(LINE_ENDS)).join("");
  return `${head}\r\n${body}`;
}
