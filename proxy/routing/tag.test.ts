import { describe, expect, test } from "vitest";
import { MadeFields } from "../message/field-list.ts";
import { DEFAULT_CARRIERS, parseCarriers } from "./carrier.ts";
import {
  BAGGAGE_BYTES_MAX,
  BAGGAGE_MEMBERS_MAX,
  NO_TAG,
  parseTagValue,
  readTag,
  UNCOUNTED_MAX,
} from "./tag.ts";

/** `kind text strict keys ambiguous` of the tag in these fields, read from the default carriers. */
function tagIn(...pairs: string[]): string {
  return summary(readTag(DEFAULT_CARRIERS, new MadeFields(pairs)));
}

function tagInBaggage(...lines: string[]): string {
  return tagIn(...lines.flatMap((line) => ["baggage", line]));
}

function tagWith(carriers: string, ...pairs: string[]): string {
  const parsed = parseCarriers(carriers);
  if (!parsed.ok) throw new Error(parsed.error);
  return summary(readTag(parsed.value, new MadeFields(pairs)));
}

function summary(tag: ReturnType<typeof parseTagValue>): string {
  const names = tag.keys.map(({ key, base }) => (base ? `${key}+base` : key)).join(" ");
  const marks = `${tag.strict ? " strict" : ""}${tag.ambiguous ? " ambiguous" : ""}`;
  return tag.kind === "keys" ? `${names}${marks}` : `${tag.kind}${marks}`;
}

describe("where a tag is read", () => {
  test("a request without a carrier has none, and nothing is made for it", () => {
    expect(readTag(DEFAULT_CARRIERS, new MadeFields(["host", "shop"]))).toBe(NO_TAG);
    expect(readTag(DEFAULT_CARRIERS, new MadeFields(["baggage", "a=1,b=2"]))).toBe(NO_TAG);
    expect(readTag([], new MadeFields(["baggage", "sandbox=jane-42"]))).toBe(NO_TAG);
  });

  test("the baggage member sandbox, then the header forklane-key", () => {
    expect(tagInBaggage("sandbox=jane-42")).toBe("jane-42");
    expect(tagIn("forklane-key", "jane-42")).toBe("jane-42");
    expect(tagIn("forklane-key", "pr-118", "baggage", "sandbox=jane-42")).toBe("jane-42");
  });

  test("the first carrier that holds something decides, readable or not", () => {
    expect(tagIn("forklane-key", "pr-118", "baggage", "sandbox=Jane")).toBe("unreadable");
    expect(tagIn("forklane-key", "pr-118", "baggage", "sandbox=")).toBe("pr-118");
    expect(
      tagWith("header:x-key,baggage:sandbox", "x-key", "jane-42", "baggage", "sandbox=b-1"),
    ).toBe("jane-42");
  });

  test("the member is parsed, not searched for", () => {
    expect(tagInBaggage("xsandbox=jane-42")).toBe("none");
    expect(tagInBaggage("sandboxx=jane-42")).toBe("none");
    expect(tagInBaggage("Sandbox=jane-42")).toBe("none");
    expect(tagInBaggage("a=sandbox=jane-42")).toBe("none");
    expect(tagInBaggage("a=1;sandbox=jane-42")).toBe("none");
    expect(tagInBaggage("a=1,sandbox=jane-42,b=2")).toBe("jane-42");
  });

  test("white space is optional around every mark, as .NET 10 sends it", () => {
    expect(tagInBaggage(" a = 1 \t,\t sandbox \t= \tjane-42 \t; p = 1 , b=2")).toBe("jane-42");
    expect(tagInBaggage("sandbox = jane-42!")).toBe("jane-42 strict");
  });

  test("several lines are one list", () => {
    expect(tagInBaggage("a=1", "b=2,sandbox=jane-42", "c=3")).toBe("jane-42");
    expect(tagInBaggage("sandbox=jane-42", "sandbox=pr-118")).toBe("pr-118 ambiguous");
  });

  test("an empty value is no tag, and does not count among duplicates", () => {
    for (const value of ["sandbox", "sandbox=", "sandbox= ", "sandbox=;p=1", "sandbox=%20", ",,"]) {
      expect(tagInBaggage(value)).toBe("none");
    }
    expect(tagInBaggage("sandbox=jane-42,sandbox=")).toBe("jane-42");
    expect(tagIn("forklane-key", "")).toBe("none");
  });

  test("an empty value that says strict is a strict tag that cannot be read", () => {
    expect(tagInBaggage("sandbox=!")).toBe("unreadable strict");
    expect(tagInBaggage("sandbox=;strict")).toBe("unreadable strict");
    expect(tagInBaggage("sandbox;strict")).toBe("unreadable strict");
  });

  test("of two members the last wins; if they differ the tag is ambiguous, and strict if one is", () => {
    expect(tagInBaggage("sandbox=jane-42,sandbox=jane-42")).toBe("jane-42");
    expect(tagInBaggage("sandbox=jane-42!,sandbox=jane-42%21")).toBe("jane-42 strict");
    expect(tagInBaggage("sandbox=jane-42!,sandbox=pr-118")).toBe("pr-118 strict ambiguous");
    expect(tagInBaggage("sandbox=jane-42!,sandbox=jane-42")).toBe("jane-42 strict ambiguous");
    expect(tagInBaggage("sandbox=Jane,sandbox=pr-118")).toBe("pr-118 ambiguous");
    expect(tagInBaggage("sandbox=jane-42!,sandbox=%")).toBe("unreadable strict ambiguous");
    expect(tagIn("forklane-key", "jane-42, pr-118")).toBe("pr-118 ambiguous");
  });

  test.each([
    ["baggage", "sd-routing-key=jane-42"],
    ["baggage", "sd-sandbox=jane-42"],
    ["tracestate", "vendor=1,sd-routing-key=jane-42"],
    ["tracestate", "sd-sandbox=jane-42"],
    ["ot-baggage-sd-routing-key", "jane-42"],
    ["ot-baggage-sd-sandbox", "jane-42"],
    ["uberctx-sd-routing-key", "jane-42"],
    ["uberctx-sd-sandbox", "jane-42"],
  ])("the preset signadot reads %s: %s", (name, value) => {
    expect(tagWith("preset:signadot", name, value)).toBe("jane-42");
  });

  test.each([
    ["okteto", "baggage", "okteto-divert=jane-42"],
    ["mirrord", "baggage", "mirrord-session=jane-42"],
    ["bridge", "kubernetes-route-as", "jane-42"],
    ["correlation-context", "correlation-context", "a=1, sandbox = jane-42"],
  ])("the preset %s reads %s: %s", (preset, name, value) => {
    expect(tagWith(`preset:${preset}`, name, value)).toBe("jane-42");
  });
});

describe("the limits of baggage", () => {
  const filler = (chars: number) => `f=${"x".repeat(chars - 2)}`;
  const tag = "sandbox=jane-42";

  test(`a tag within the first ${BAGGAGE_BYTES_MAX} bytes counts, one that ends past them does not`, () => {
    const fits = BAGGAGE_BYTES_MAX - tag.length - 1;
    expect(tagInBaggage(`${filler(fits)},${tag}`)).toBe("jane-42");
    expect(tagInBaggage(`${filler(fits + 1)},${tag}`)).toBe("unreadable");
    expect(tagInBaggage(`${filler(fits + 1)},${tag}!`)).toBe("unreadable strict");
  });

  test("the bytes of all lines count together", () => {
    const half = BAGGAGE_BYTES_MAX / 2;
    expect(tagInBaggage(filler(half), filler(half - tag.length - 2), tag)).toBe("jane-42");
    expect(tagInBaggage(filler(half), filler(half - tag.length - 1), tag)).toBe("unreadable");
  });

  test(`the member ${BAGGAGE_MEMBERS_MAX} counts, the next one does not`, () => {
    const members = (count: number) => Array.from({ length: count }, (_, i) => `m${i}=1`).join(",");
    expect(tagInBaggage(`${members(BAGGAGE_MEMBERS_MAX - 1)},${tag}`)).toBe("jane-42");
    expect(tagInBaggage(`${members(BAGGAGE_MEMBERS_MAX)},${tag}`)).toBe("unreadable");
    expect(tagInBaggage(members(BAGGAGE_MEMBERS_MAX - 1), `,, ,${tag}`)).toBe("jane-42");
  });

  test("our own marks do not push a tag out", () => {
    const marks = `forklane-hop=${"a".repeat(16)}.${"b".repeat(16)},forklane-run=r7k2.B.0.s3,`;
    const fits = BAGGAGE_BYTES_MAX - tag.length - 1;
    expect(tagInBaggage(`${marks}${filler(fits)},${tag}`)).toBe("jane-42");
  });

  test("a tag past the limits makes one within them ambiguous if it differs", () => {
    const long = filler(BAGGAGE_BYTES_MAX);
    expect(tagInBaggage(`${tag},${long},sandbox=jane-42`)).toBe("jane-42");
    expect(tagInBaggage(`${tag},${long},sandbox=pr-118`)).toBe("jane-42 ambiguous");
    expect(tagInBaggage(`${tag},${long},sandbox=pr-118!`)).toBe("jane-42 strict ambiguous");
    expect(tagInBaggage(`${long},sandbox=pr-118,sandbox=pr-118`)).toBe("unreadable");
  });

  test(`of the tags past the limits ${UNCOUNTED_MAX} are looked at, and more are strict`, () => {
    const past = (count: number) => `${"sandbox=pr-118,".repeat(count)}sandbox=jane-42!`;
    const long = filler(BAGGAGE_BYTES_MAX);
    expect(tagInBaggage(`${long},${past(UNCOUNTED_MAX - 1)}`)).toBe("unreadable strict ambiguous");
    expect(tagInBaggage(`${long},${past(UNCOUNTED_MAX)}`)).toBe("unreadable strict ambiguous");
    const empty = "sandbox=,".repeat(UNCOUNTED_MAX);
    expect(tagInBaggage(`${long},${empty}sandbox=`)).toBe("unreadable strict ambiguous");
    const alike = "sandbox=pr-118,".repeat(UNCOUNTED_MAX);
    expect(tagInBaggage(`${long},${alike}`)).toBe("unreadable");
    expect(tagInBaggage(`${long},${alike}sandbox=pr-118`)).toBe("unreadable strict ambiguous");
  });
});

describe("the value of a tag", () => {
  test.each([
    ["jane-42", "jane-42"],
    ["abc", "abc"],
    [`a${"b".repeat(39)}`, `a${"b".repeat(39)}`],
    [`a${"b".repeat(40)}`, "unreadable"],
    ["ab", "unreadable"],
    ["a--b", "unreadable"],
    ["-ab", "unreadable"],
    ["ab-", "unreadable"],
    ["Jane", "unreadable"],
    ["jane_42", "unreadable"],
    ["jane 42", "unreadable"],
    ["jane-42\n", "unreadable"],
    ["jané", "unreadable"],
    ["", "none"],
    [" \t", "none"],
    [" jane-42 ", "jane-42"],
    ["jane-42!", "jane-42 strict"],
    ["jane-42%21", "jane-42 strict"],
    ["jane-42!!", "unreadable strict"],
    ["jane%2D42", "jane-42"],
    ["jane%2d42", "jane-42"],
    ["jane%252D42", "unreadable"],
    ["jane-42%", "unreadable"],
    ["jane-42%2", "unreadable"],
    ["jane-42%zz", "unreadable"],
    ["%20jane-42%09", "jane-42"],
    ["jane-42;p=1", "jane-42"],
    ["jane-42%3Bp=1", "jane-42"],
    ["jane-42;strict", "jane-42 strict"],
    ["jane-42 ; p=1 ; strict ", "jane-42 strict"],
    ["jane-42;strict=1", "jane-42 strict"],
    ["jane-42%3Bstrict", "jane-42 strict"],
    ["jane-42%3bp%3Bstrict", "jane-42 strict"],
    ["jane-42%21;p", "jane-42 strict"],
    ["jane-42!;strict", "jane-42 strict"],
    ["jane-42;Strict", "jane-42"],
    ["jane-42;unstrict", "jane-42"],
    ["jane-42;strictly", "jane-42"],
    ["jane-42;p=strict", "jane-42"],
    ["jane-42;p=a%3Bstrict", "jane-42"],
    ["Jane;strict", "unreadable strict"],
    ["jane-42.base", "jane-42+base"],
    ["jane-42.base!", "jane-42+base strict"],
    [".base", "unreadable"],
    ["jane-42.base.base", "unreadable"],
    ["jane-42.Base", "unreadable"],
    ["jane-42~pr-118", "jane-42 pr-118"],
    ["jane-42%7Epr-118!", "jane-42 pr-118 strict"],
    ["one~two~three~four!", "one two three four strict"],
    ["one~two~three~four~five", "unreadable"],
    ["one~two~three~four~five!", "unreadable strict"],
    ["jane-42~pr-118.base", "jane-42 pr-118+base"],
    ["jane-42!~pr-118", "unreadable strict"],
    ["jane-42~", "unreadable"],
    ["~jane-42", "unreadable"],
    ["jane-42 ~ pr-118", "unreadable"],
    ["jane-42%2Cpr-118", "unreadable"],
    ["constructor", "constructor"],
    ["__proto__", "unreadable"],
  ])("%j is %s", (text, expected) => {
    expect(summary(parseTagValue(text))).toBe(expected);
  });

  test("its text is what was sent, decoded, with the strict mark and without properties", () => {
    const textOf = (value: string) => parseTagValue(value).text;
    expect(textOf("")).toBe("");
    expect(textOf("jane-42%21")).toBe("jane-42!");
    expect(textOf("jane-42;strict")).toBe("jane-42!");
    expect(textOf("jane-42~pr-118.base;p=1")).toBe("jane-42~pr-118.base");
    expect(textOf("Jane;strict")).toBe("Jane!");
    expect(textOf("ja\r\nné%00")).toBe("ja??n??");
  });

  test("its text is at most 200 characters, the strict mark included", () => {
    const parts = Array.from({ length: 4 }, () => `${"a".repeat(40)}.base`).join("~");
    expect(parseTagValue(`${parts}!`)).toMatchObject({ kind: "keys", text: `${parts}!` });
    expect(parseTagValue("x".repeat(5_000)).text).toHaveLength(200);
    const strict = parseTagValue(`${"x".repeat(5_000)};strict`);
    expect(strict).toMatchObject({ kind: "unreadable", strict: true });
    expect(strict.text).toHaveLength(200);
    expect(strict.text.endsWith("!")).toBe(true);
  });

  test("a value seen lately is not read again", () => {
    expect(parseTagValue("jane-42!")).toBe(parseTagValue("jane-42!"));
    const [longest, longer] = ["x".repeat(256), "x".repeat(257)];
    expect(parseTagValue(longest)).toBe(parseTagValue(longest));
    expect(parseTagValue(longer)).not.toBe(parseTagValue(longer));
  });
});

test("what was read is remembered of 1,024 values, and one more takes the place of another", () => {
  const texts = Array.from({ length: 4 * 1_024 }, (_, index) => `limit-${index}`);
  const first = texts.map((text) => parseTagValue(text));
  const again = texts.filter((text, index) => parseTagValue(text) === first[index]);
  expect(again.length).toBeGreaterThan(0);
  expect(again.length).toBeLessThanOrEqual(1_024);
});
