import { expect, test } from "vitest";
import { parseCorpus } from "./parse-corpus.ts";

const REFUSED = "RFC 9112 5: so.\n> GET / HTTP/1.1\n> X : 1\n>\n= 400 head-malformed\n";

function sentBy(lines: string): unknown {
  return parseCorpus("f", `## a\nRFC 9112 5: so.\n${lines}\n= 200\n`)[0]?.sent;
}

test("a case is its bytes, with CR LF at the end of each line that does not end in a backslash", () => {
  expect(sentBy("> a\\tb\\x80\\\\\n> c\\\n> d\\s\\")).toEqual([
    { kind: "send", bytes: "a\tb\x80\\\r\ncd " },
  ]);
  expect(sentBy("> \\{3 x\\n}\\")).toEqual([{ kind: "send", bytes: "x\nx\nx\n" }]);
  expect(sentBy("> a\\Pb\\F\\")).toEqual([
    { kind: "send", bytes: "a" },
    { kind: "pause" },
    { kind: "send", bytes: "b" },
    { kind: "end" },
  ]);
});

test("what is forwarded is what was sent, or nothing where it is refused, unless the case says", () => {
  const [refused] = parseCorpus("f", `## a\n${REFUSED}`);
  expect(refused).toMatchObject({ forwarded: "", isClosed: true, isKept: null });
  const [passed] = parseCorpus("f", "## a\nRFC 9112 5: so.\n> x\n= 200\n");
  expect(passed).toMatchObject({ forwarded: "x\r\n", isClosed: false });
  const [said] = parseCorpus("f", "## a\nRFC 9112 5: so.\n> x\n>> y\\\n= 200, upstream kept\n");
  expect(said).toMatchObject({ forwarded: "y", isKept: true });
});

test("each variant is a case of its own", () => {
  const cases = parseCorpus("f", "## a\nRFC 9112 5: so.\n> {}\\\n= 200\n| one | 1\n| none |\n");
  expect(cases.map((it) => [it.name, it.forwarded])).toEqual([
    ["f/a/one", "1"],
    ["f/a/none", ""],
  ]);
});

test.each([
  ["no clause", "## a\n> x\n= 200\n", "f/a: says no clause"],
  ["no outcome", "## a\nRFC 9112 5: so.\n> x\n", "f/a: has 0 outcomes"],
  ["an outcome that is none", "## a\nRFC 9112 5: so.\n= fine\n", 'the outcome "fine"'],
  ["a fault that is none", "## a\nRFC 9112 5: so.\n= 400 nope\n", "no fault nope"],
  ["another status", "## a\nRFC 9112 5: so.\n= 431 head-malformed\n", "is not answered 431"],
  ["an unknown escape", "## a\nRFC 9112 5: so.\n> \\q\n= 200\n", "what is \\q?"],
  ["two of a name", `## a\n${REFUSED}\n## a\n${REFUSED}`, "f/a is there twice"],
])("a file with %s is refused, and the block named", (_what, text, message) => {
  expect(() => parseCorpus("f", text)).toThrow(message);
});
