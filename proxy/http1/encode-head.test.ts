import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  getWith,
  requestHead,
  responseHead,
  sentRequest,
  sentResponse,
} from "../../test/harness/parsed-head.ts";
import { MadeFields } from "../message/field-list.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { encodeLastChunk, encodeRequestHead, encodeResponseHead } from "./encode-head.ts";
import { Pieces } from "./pieces.ts";

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,11}$/).filter((it) => !KNOWN.test(it));
/** Fields that change how a head is framed, or must stand once. */
const KNOWN = /^(?:host|content-length|transfer-encoding)$/i;
const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]{0,30}[!-~\x80-\xff])?)?$/);
const blank = fc.constantFrom("", " ", "  ", "\t");
const line = fc.record({ name, before: blank, value, after: blank });
const action = fc.oneof(
  fc.constant({ kind: "keep" as const }),
  fc.constant({ kind: "drop" as const }),
  fc.record({ kind: fc.constant("replace" as const), value }),
  fc.record({ kind: fc.constant("splice" as const), at: fc.tuple(fc.nat(30), fc.nat(30)), value }),
);
const plan = fc.record({
  lines: fc.array(fc.record({ line, action }), { maxLength: 30 }),
  added: fc.array(fc.tuple(name, value), { maxLength: 4 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function text({ line: it }: Plan["lines"][number]): string {
  return `${it.name}:${it.before}${it.value}${it.after}`;
}

/** The value that has to come out, and what stands around it. */
function changed({ line: it, action: does }: Plan["lines"][number]): string {
  if (does.kind === "replace") return `${it.name}: ${does.value}`;
  if (does.kind !== "splice") return text({ line: it, action: does });
  const [from, to] = splicedAt(does.at, it.value);
  const spliced = `${it.value.slice(0, from)}<${does.value}>${it.value.slice(to)}`;
  // An empty value stands behind all white space.
  if (it.value === "") return `${it.name}:${it.before}${it.after}${spliced}`;
  return `${it.name}:${it.before}${spliced}${it.after}`;
}

function splicedAt(at: readonly [number, number], of: string): readonly [number, number] {
  const [a, b] = at.map((index) => Math.min(index, of.length)) as [number, number];
  return a < b ? [a, b] : [b, a];
}

/** What has to come out: kept lines as they were, the others as the edit says. */
function expected({ lines, added }: Plan): readonly string[] {
  const rest = lines.flatMap((it) => {
    if (it.action.kind === "drop") return [];
    return [changed(it)];
  });
  return [...rest, ...added.map(([addedName, addedValue]) => `${addedName}: ${addedValue}`)];
}

/** `first`: the index of the plan's first line in the head. */
function editOf({ lines, added }: Plan, first: number): HeadEdit {
  const edit = new HeadEdit(200);
  for (const [i, { line: of, action: it }] of lines.entries()) {
    if (it.kind === "drop") edit.drop(first + i);
    else if (it.kind === "splice") {
      const [from, to] = splicedAt(it.at, of.value);
      const put = `<${it.value}>`;
      if (it.value.length % 2 === 0) edit.splice(first + i, from, to, Buffer.from(put, "latin1"));
      else {
        const bytes = Buffer.from(`x${put}x`, "latin1");
        edit.splice(first + i, from, to, bytes, 1, bytes.length - 1);
      }
    } else if (it.kind === "replace") edit.replace(first + i, it.value);
  }
  for (const [addedName, addedValue] of added) edit.add(addedName, addedValue);
  return edit;
}

describe("a head that is written again", () => {
  test("has every line that the edit does not name byte for byte, in order and case", () => {
    fc.assert(
      fc.property(plan, (it) => {
        const lines = it.lines.map(text);
        const request = ["POST /a?b HTTP/1.1", "Host: shop.test", ...lines];
        expect(sentRequest(requestHead(request), editOf(it, 1))).toEqual([
          ...request.slice(0, 2),
          ...expected(it),
        ]);
        const response = ["HTTP/1.1 299 Very Fine", ...lines];
        expect(sentResponse(responseHead(response), editOf(it, 0))).toEqual([
          response[0],
          ...expected(it),
        ]);
      }),
    );
  });

  test("parses again, to the fields that the edit means", () => {
    fc.assert(
      fc.property(plan, (it) => {
        const head = getWith(...it.lines.map(text));
        const again = requestHead(sentRequest(head, editOf(it, 1)));
        const fields = Array.from({ length: again.count }, (_, i) => [
          again.name(i),
          again.value(i),
        ]);
        const meant = it.lines.flatMap(({ line: { name: lineName, value: was }, action: does }) => {
          if (does.kind === "drop") return [];
          if (does.kind === "keep") return [[lineName, was]];
          if (does.kind === "replace") return [[lineName, does.value]];
          const [from, to] = splicedAt(does.at, was);
          return [[lineName, `${was.slice(0, from)}<${does.value}>${was.slice(to)}`]];
        });
        expect(fields).toEqual([["Host", "shop.test"], ...meant, ...it.added]);
      }),
    );
  });

  test("without an edit is not copied", () => {
    const head = getWith("X-A: 1");
    const pieces = new Pieces();
    encodeRequestHead(head, new HeadEdit(1), pieces);
    expect(pieces.count).toBe(1);
    expect((pieces.piece(0) as Buffer).buffer).toBe(head.bytes.buffer);
  });

  test("has our version, and the reason as it came", () => {
    const edit = new HeadEdit(1);
    expect(sentRequest(requestHead(["GET / HTTP/1.0", "Host: a"]), edit)[0]).toBe("GET / HTTP/1.1");
    expect(sentRequest(requestHead(["GET http://a?x HTTP/1.1", "Host: a"]), edit)[0]).toBe(
      "GET /?x HTTP/1.1",
    );
    expect(sentResponse(responseHead(["HTTP/1.0 200 Fine by me"]), edit)[0]).toBe(
      "HTTP/1.1 200 Fine by me",
    );
    expect(sentResponse(responseHead(["HTTP/1.1 200"]), edit)[0]).toBe("HTTP/1.1 200 ");
  });

  test.each([
    ["Content-Length: 010", "Content-Length: 10"],
    ["Content-Length:\t10", "Content-Length: 10"],
    ["Content-Length: 10 ", "Content-Length: 10"],
    ["content-length:10", "content-length:10"],
    ["Transfer-Encoding: Chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding:  chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding:chunked\t", "Transfer-Encoding: chunked"],
  ])("says %j as everybody says it", (received, sent) => {
    const request = requestHead(["POST / HTTP/1.1", "Host: a", received, "X:\t1 "]);
    expect(sentRequest(request, new HeadEdit(200)).slice(2)).toEqual([sent, "X:\t1 "]);
    const response = responseHead(["HTTP/1.1 200 OK", received, "X: 1"]);
    expect(sentResponse(response, new HeadEdit(200)).slice(1)).toEqual([sent, "X: 1"]);
  });

  test("does not take up a length again that was dropped", () => {
    const response = responseHead(["HTTP/1.1 204 No Content", "Content-Length: 00"]);
    const edit = new HeadEdit(200);
    edit.drop(0);
    expect(sentResponse(response, edit)).toEqual(["HTTP/1.1 204 No Content"]);
  });

  test("of our own is written from its fields", () => {
    const fields = new MadeFields(["a", "1", "b", "2"]);
    const edit = new HeadEdit(2);
    edit.drop(0);
    edit.replace(1, "3");
    edit.add("c", "4");
    const head = { status: 503, fields, hasBody: false, bodyBytes: 0, raw: null };
    const pieces = new Pieces();
    encodeResponseHead(head, edit, pieces);
    expect(pieces.joined().toString()).toBe(
      "HTTP/1.1 503 Service Unavailable\r\nb: 3\r\nc: 4\r\n\r\n",
    );
  });
});

test("the last chunk carries the trailers", () => {
  expect(encodeLastChunk(null)).toBe("0\r\n\r\n");
  expect(encodeLastChunk(["X-Sum", "1", "X-B", "2"])).toBe("0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n");
});
