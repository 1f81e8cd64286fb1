/**
 * Messages by the grammar of RFC 9112, mostly valid; where a rule leaves a choice, each choice, and
 * beside it what looks like one.
 */
import type { Dice } from "../harness/dice.ts";

/** One request, with its body. */
export function request(dice: Dice): string {
  const method = often(dice, ["GET", "POST"], METHODS);
  const version = often(dice, ["HTTP/1.1"], VERSIONS);
  const host = often(dice, ["a", "shop.test"], HOSTS);
  const target = often(dice, ["/", "/a?b=c"], TARGETS).replace("{host}", host);
  const hostLine = dice.oneIn(30) ? "" : line(dice, "Host", host);
  const body = framedBody(dice, method !== "GET");
  const line1 = `${method} ${target} ${version}\r\n`;
  return `${dice.oneIn(40) ? "\r\n" : ""}${line1}${hostLine}${fields(dice)}${body}`;
}

/** One response to a request with this method, sometimes with interim ones before it. */
export function response(dice: Dice, method: string): string {
  const status = often(dice, ["200"], STATUSES);
  const version = often(dice, ["HTTP/1.1"], VERSIONS);
  const interim = dice.oneIn(12)
    ? `HTTP/1.1 ${dice.pick(["100", "103"])} I\r\n${fields(dice)}\r\n`
    : "";
  const reason = often(dice, [" OK"], REASONS);
  const mayHaveBody = !/^(?:1|204|304)/.test(status) && method !== "HEAD";
  // Where there is no body the head may still say of one, and an attacker may send it.
  const body = mayHaveBody || dice.oneIn(6) ? framedBody(dice, true) : framingOnly(dice);
  return `${interim}${version} ${status}${reason}\r\n${fields(dice)}${body}`;
}

/** A common choice mostly, one of the rest in one of ten cases. */
function often<T>(dice: Dice, common: readonly T[], rest: readonly T[]): T {
  return dice.oneIn(10) ? dice.pick(rest) : dice.pick(common);
}

const METHODS = [
  ..."HEAD PUT DELETE OPTIONS PATCH TRACE CONNECT get PRI FORK-LANE M-SEARCH SOURCE QUERY".split(
    " ",
  ),
  "G=T",
  "!#$%&'*+-.^_`|~9",
  "",
];
const VERSIONS = [
  "HTTP/1.0",
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "HTTP/0.9",
  "HTTP/1.10",
  "HTTP/01.1",
  "http/1.1",
  "HTTP/1,1",
  "HTTP/1.1 ",
  "RTSP/1.0",
  "ICE/1.0",
  "",
];
const HOSTS = [
  "a:80",
  "A",
  "a:65536",
  "a:",
  "",
  "a b",
  "a,b",
  "u@a",
  "[::1]",
  "[::1]:80",
  "[v1.a]",
  "::1",
  "a/b",
  "a_b",
  "\xe9",
  "a;b",
  "1.2.3.4:00080",
  "x".repeat(256),
];
const TARGETS = [
  "*",
  "http://{host}",
  "http://{host}/",
  "http://{host}?q",
  "HTTP://{host}/a",
  "https://{host}/a",
  "http://b/",
  "http://u@{host}/",
  "ftp://{host}/",
  "http:/a",
  "{host}:80",
  "a",
  "//{host}/",
  "/a#b",
  "/%00",
  '/|"<>\\^`{}',
  "/\x80",
  "/a b",
  "",
];
const STATUSES = [
  ..."100 101 102 103 199 201 204 204 206 304 304 301 404 418 500 599 600 999 099 000 20 2000".split(
    " ",
  ),
  "2x0",
  "+20",
  "",
];
const REASONS = ["", " ", "  x", " \xe9", " OK\t", "  ", " O\x7fK", "\tOK", "OK"];

/** Fields that say nothing of the body's end. */
function fields(dice: Dice): string {
  let text = "";
  for (let i = dice.pick([0, 0, 1, 1, 2, 3]); i > 0; i--) {
    const name = dice.pick(NAMES);
    text += line(dice, name, dice.pick(VALUES[name.toLowerCase()] ?? ANY_VALUES));
  }
  return text;
}

const NAMES = [
  ..."Connection Connection connection Upgrade Expect TE Trailer Keep-Alive Proxy-Connection".split(
    " ",
  ),
  ..."X-A x-a Accept Cookie baggage Baggage tracestate traceparent forklane-key forklane-x forklane-decision forklane-trace forklane-fault".split(
    " ",
  ),
  ..."Host Date Max-Forwards Content_Length Transfer_Encoding Content-Type HTTP2-Settings Via".split(
    " ",
  ),
  "!#$%&'*+-.^_`|~9",
];
/** What nobody may name in Connection, and what is close to it. */
const PROTECTED = [
  ..."authorization b3 baggage cache-control content-encoding content-range content-type cookie".split(
    " ",
  ),
  ..."correlation-context expect forwarded max-forwards origin range set-cookie traceparent".split(
    " ",
  ),
  ..."tracestate uber-trace-id via x-real-ip x-request-id if-match ot-baggage-a uberctx-a".split(
    " ",
  ),
  ..."x-b3-traceid x-datadog-trace-id x-forwarded-for x-b x-forwarded xvia date".split(" "),
];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  connection: [
    ..."close keep-alive Close upgrade te close,keep-alive x-a host content-length".split(" "),
    "keep-alive, close",
    "close ",
    ", close",
    "close;x",
    "upgrade, close",
    "\xa0close",
    "a,b,c,d,e,f,g,h,i,j,close",
    "transfer-encoding",
    "closed",
    ...PROTECTED,
    "",
  ],
  upgrade: ["websocket", "h2c", "WebSocket", "a, b", ""],
  expect: ["100-continue", "200-maybe"],
  te: ["trailers", "gzip", "trailers, chunked", "x".repeat(255), "x".repeat(256)],
  "keep-alive": ["timeout=5", "timeout=0"],
  "proxy-connection": ["close", "keep-alive"],
  "max-forwards": ["0", "00", "1", "10", "1x", ""],
  host: ["a", "b", ""],
};
const ANY_VALUES = ["", "a", "1", "a, b", '"a\tb"', "\xff\x80", " a ", "sandbox=jane", "a:b", "{}"];

/** Headers that frame, the empty line, and a body that they describe, mostly. */
function framedBody(dice: Dice, isLikely: boolean): string {
  if (isLikely ? dice.oneIn(6) : !dice.oneIn(6)) return `\r\n${dice.oneIn(20) ? "left over" : ""}`;
  switch (dice.below(8)) {
    case 0:
    case 1:
    case 2: {
      const body = content(dice);
      return `${line(dice, "Content-Length", lengthOf(dice, body.length))}\r\n${body}`;
    }
    case 3:
    case 4:
    case 5:
    case 6:
      return `${line(dice, "Transfer-Encoding", often(dice, ["chunked"], CODINGS))}\r\n${chunks(dice)}`;
    default: {
      const body = dice.oneIn(2) ? chunks(dice) : content(dice);
      return `${framingLines(dice, body.length)}\r\n${body}`;
    }
  }
}

function framingOnly(dice: Dice): string {
  return dice.oneIn(3) ? `${framingLines(dice, dice.below(9))}\r\n` : "\r\n";
}

/** One or several lines that frame, in any order: what smuggling is made of. */
function framingLines(dice: Dice, bytes: number): string {
  let text = "";
  for (let i = 1 + dice.below(2); i >= 0; i--) {
    text += dice.oneIn(2)
      ? line(dice, "Content-Length", lengthOf(dice, bytes))
      : line(dice, "Transfer-Encoding", often(dice, ["chunked"], CODINGS));
  }
  return text;
}

function lengthOf(dice: Dice, bytes: number): string {
  if (!dice.oneIn(8)) return String(bytes);
  return dice.pick(LENGTHS).replace("{n}", String(bytes));
}

const LENGTHS = [
  "0{n}",
  "+{n}",
  "-{n}",
  "{n}, {n}",
  "{n},{n}",
  "{n} {n}",
  "0x{n}",
  "{n}.0",
  "{n}e0",
  "{n}_",
  "",
  "9007199254740991",
  "9007199254740992",
  "18446744073709551616",
  "00000000000000{n}",
  "0000000000000000{n}",
  "\t{n}",
  "{n}\t",
  "{n};a",
];
const CODINGS = [
  "Chunked",
  "chunked ",
  "chunked\t",
  "\tchunked",
  "chunked,",
  ",chunked",
  "chunked, chunked",
  "gzip, chunked",
  "chunked, gzip",
  "identity",
  "gzip",
  "xchunked",
  "chunked;a=b",
  '"chunked"',
  "chunked\x80",
  "chu nked",
  "",
];

function content(dice: Dice): string {
  if (dice.oneIn(60)) return "y".repeat(250 + dice.below(600));
  return dice.pick([
    "",
    "a",
    "hello",
    "0\r\n\r\n",
    "GET /b HTTP/1.1\r\nHost: b\r\n\r\n",
    "\r\n",
    "\n\0\xff",
  ]);
}

/** Some chunks, the last one, and trailers. */
function chunks(dice: Dice): string {
  let text = "";
  const rarity = dice.oneIn(8) ? 1 : 8;
  for (let i = dice.pick([0, 1, 1, 2, 3, 6]); i > 0; i--) {
    const body = content(dice) || "x";
    text += `${chunkSize(dice, body.length)}${extension(dice, rarity)}\r\n${body}\r\n`;
  }
  const last = often(dice, ["0"], ["00", "0000000000000", "00000000000000", "", "-0", "0x0"]);
  return `${text}${last}${extension(dice, rarity)}\r\n${trailers(dice)}\r\n`;
}

function chunkSize(dice: Dice, bytes: number): string {
  const size = bytes.toString(16);
  if (!dice.oneIn(12)) return size;
  return dice.pick([
    size.toUpperCase(),
    `0${size}`,
    `000000000000${size}`,
    `0000000000000${size}`,
    `0x${size}`,
    `+${size}`,
    `-${size}`,
    ` ${size}`,
    `${size} `,
    `${size}\t`,
    `${size}g`,
    `${size},`,
    "ffffffffffffff",
    "fffffffffffffffff",
    "",
    "1",
    "ff",
  ]);
}

function extension(dice: Dice, rarity: number): string {
  return dice.oneIn(rarity) ? dice.pick(EXTENSIONS) : "";
}

const EXTENSIONS = [
  ";a",
  ";a=b",
  ';a="b"',
  ';a="b\\"c"',
  ";",
  ";;",
  ";a=",
  ";=b",
  " ;a",
  "; a = b",
  ";a b",
  ";\t",
  ";\x80",
  ";a\rb",
  ";a\n",
  ';a="\x7f"',
  `;${"x".repeat(300)}`,
  ";5\r\nhello",
];

function trailers(dice: Dice): string {
  if (!dice.oneIn(5)) return "";
  let text = "";
  for (let i = 1 + dice.below(3); i > 0; i--) {
    const name = dice.pick(TRAILERS);
    text += line(dice, name, dice.pick(ANY_VALUES));
  }
  return text;
}

const TRAILERS = [
  ..."X-T Checksum Date grpc-status Content-Length Transfer-Encoding Host baggage Cookie TE Trailer".split(
    " ",
  ),
  ..."forklane-hop forklane-x authorization Content-Type x-forwarded-for traceparent Expect".split(
    " ",
  ),
];

/** A field line, in one of the forms that the grammar has, or is close to. */
function line(dice: Dice, name: string, value: string): string {
  if (!dice.oneIn(25)) return `${name}: ${value}\r\n`;
  return dice.pick([
    `${name}:${value}\r\n`,
    `${name}:\t${value}\t\r\n`,
    `${name}:  ${value} \t \r\n`,
    `${name.toUpperCase()}: ${value}\r\n`,
    `${name.toLowerCase()}: ${value}\r\n`,
    `${name} : ${value}\r\n`,
    ` ${name}: ${value}\r\n`,
    `${name}: ${value}\n`,
    `${name}: ${value}\r`,
    `${name}:\r\n ${value}\r\n`,
    `${name}: ${value}\r\n\t\r\n`,
    `${name}\t: ${value}\r\n`,
    `${name}\r\n`,
    `: ${value}\r\n`,
    `${name}: ${value}\0\r\n`,
    `${name}: ${value}\r\r\n`,
    `${name}:\x0b${value}\r\n`,
    `${name}:\xa0${value}\r\n`,
    `${name}: ${value}\r\n${name}: ${value}\r\n`,
  ]);
}
