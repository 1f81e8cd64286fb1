import type { Dice } from "../../harness/dice.ts";

/**
 * Fields that the data plane reads words out of, a line each (`name:value`), as hostile as a head may
 * hold them: any byte but CR, LF and NUL.
 */
export function fieldsText(dice: Dice): string {
  const lines: string[] = [];
  for (let i = 1 + dice.below(4); i > 0; i--) {
    const name = dice.pick(NAMES);
    lines.push(`${name}:${hostileValue(dice, name)}`);
  }
  return lines.join("\n");
}

const NAMES = [
  ..."baggage baggage baggage Baggage forklane-key connection connection cookie host".split(" "),
  ..."traceparent b3 x-b3-traceid x-datadog-trace-id uber-trace-id".split(" "),
  ..."x-forwarded-for forklane-via max-forwards te x_y te".split(" "),
];

function hostileValue(dice: Dice, name: string): string {
  if (dice.oneIn(40)) return dice.pick(FILLERS).repeat(dice.pick([63, 64, 65, 100, 2_000]));
  const words = WORDS[name.toLowerCase()] ?? LIST_WORDS;
  let value = "";
  for (let i = dice.pick([1, 1, 2, 3, 5, 9]); i > 0; i--) {
    value += dice.pick(words) + (dice.oneIn(3) ? dice.pick(JOINTS) : "");
  }
  // One end is broken off, or a byte is another.
  if (dice.oneIn(4)) value = value.slice(dice.below(4), value.length - dice.below(4));
  if (dice.oneIn(4)) value = withByte(dice, value);
  return value.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
}

function withByte(dice: Dice, value: string): string {
  const at = dice.below(value.length + 1);
  const byte = String.fromCharCode(0x20 + dice.below(0xe0));
  return value.slice(0, at) + byte + value.slice(at + dice.below(2));
}

const FILLERS = [",", "a=1,", " ", ";", "sandbox=jane,", "a,", "%", "f-", "x"];
const JOINTS = [
  ",",
  " , ",
  ";",
  "; ",
  "=",
  " =\t",
  "!",
  "~",
  "%",
  ".",
  "-",
  "--",
  ":",
  " ",
  "\xa0",
  '"',
  "%3B",
];
const LIST_WORDS = [
  ..."sandbox=jane-42, sandbox=jane-42! sandbox=a-b~c-d.base, sandbox =jane, sandbox sandboxx=jane".split(
    " ",
  ),
  ..."sandbox=jane%2D42;strict, ;strict ;strict=1 %3Bstrict sandbox=; a=1, jane-42 pr-12! a~b~c~d~e".split(
    " ",
  ),
  ..."forklane-run=r.B.0.s3, forklane-hop=, forklane-hopp=1, , , x=sandbox=jane, %21 %7E .base".split(
    " ",
  ),
  "forklane-hop=0123456789abcdef.fedcba9876543210,",
  "forklane-hop=0123456789abcdef.fedcba9876543210 ;p=1,",
  "forklane-hop=0123456789ABCDEF.fedcba9876543210",
  "x".repeat(8_180),
];
const HEX = ["0123456789abcdef", "0000000000000000", "0", "ABCDEF0123456789", "g", "f"];
const WORDS: Readonly<Record<string, readonly string[]>> = {
  connection: [
    "close",
    "keep-alive",
    "x-a,",
    "baggage",
    "Upgrade, ",
    "te",
    ",",
    "host",
    "forklane-x",
  ],
  cookie: [
    "forklane-key=jane-42",
    "forklane-key=",
    '"jane-42!"',
    "; ",
    "a=b",
    ";",
    "forklane-key=a b",
  ],
  host: ["jane-42", "--", "shop.test", ":80", "JANE", ".", "a", "---"],
  traceparent: [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-0000000000000000-",
    "-",
  ],
  b3: [...HEX, "-", "-1"],
  "x-b3-traceid": HEX,
  "x-datadog-trace-id": [
    "18446744073709551615",
    "18446744073709551616",
    "0",
    "7",
    "00000000000000000007",
  ],
  "uber-trace-id": [...HEX, ":", "%3A", "%3a", ":0:1"],
  "x-forwarded-for": ["10.0.0.1", ", ", "unknown", "[::1]", '"'],
  "forklane-via": ["shop/cart;me", "shop/cart;you", ";from=0af7651916cd43dd", ", ", ";", "me", " "],
  "max-forwards": ["0", "1", "10", "007", "+1", "9999999999", "99999999999", "-1"],
  te: ["trailers", "gzip", ", "],
};
