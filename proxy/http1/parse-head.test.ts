import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FaultCode } from "../fault.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { frameRequest, frameResponse } from "./framing.ts";
import { Http1RequestHead, Http1ResponseHead } from "./head.ts";
import { requestHeadReader, responseHeadReader } from "./head-reader.ts";
import { COMPLETE, INCOMPLETE } from "./parse-head.ts";

interface Outcome {
  readonly fault: FaultCode | "incomplete" | null;
  readonly head: Http1RequestHead | Http1ResponseHead;
  readonly rest: string;
}

/** Reads a request head from pieces, each in a buffer of its own, as a socket delivers them. */
function readRequest(pieces: readonly string[], limits = DEFAULT_LIMITS): Outcome {
  const head = new Http1RequestHead();
  const reader = requestHeadReader(head, limits);
  for (const [i, piece] of pieces.entries()) {
    const bytes = Buffer.from(piece, "latin1");
    const outcome = reader.read(bytes, 0, bytes.length);
    if (outcome === INCOMPLETE) continue;
    if (outcome !== COMPLETE) return { fault: outcome, head, rest: "" };
    const rest = bytes.toString("latin1", reader.next) + pieces.slice(i + 1).join("");
    return { fault: frameRequest(head), head, rest };
  }
  return { fault: "incomplete", head, rest: "" };
}

function readResponse(text: string, isHeadRequest = false): Outcome {
  const head = new Http1ResponseHead();
  const reader = responseHeadReader(head, DEFAULT_LIMITS);
  const bytes = Buffer.from(text, "latin1");
  const outcome = reader.read(bytes, 0, bytes.length);
  if (outcome === INCOMPLETE) return { fault: "incomplete", head, rest: "" };
  if (outcome !== COMPLETE) return { fault: outcome, head, rest: "" };
  return {
    fault: frameResponse(head, isHeadRequest),
    head,
    rest: bytes.toString("latin1", reader.next),
  };
}

const GOOD =
  "GET /a?b=1 HTTP/1.1\r\nHost: shop.example\r\nX-One:  two words \t\r\nEmpty:\r\n\r\nrest";

describe("a request head", () => {
  test("gives method, target, host, fields in order and case, and where the body begins", () => {
    const { fault, head, rest } = readRequest([GOOD]);
    const request = head as Http1RequestHead;
    expect(fault).toBeNull();
    expect([request.method, request.target, request.authority]).toEqual([
      "GET",
      "/a?b=1",
      "shop.example",
    ]);
    expect([0, 1, 2].map((i) => [head.name(i), head.value(i)])).toEqual([
      ["Host", "shop.example"],
      ["X-One", "two words"],
      ["Empty", ""],
    ]);
    expect(head.find("x-one", 0)).toBe(1);
    expect(head.find("x-one", 2)).toBe(-1);
    expect(head.find("x-on", 0)).toBe(-1);
    expect(rest).toBe("rest");
  });

  test("is read in the same way however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(GOOD.length), { maxLength: 12 }), (cuts) => {
        const bounds = [0, ...[...cuts].sort((a, b) => a - b), GOOD.length];
        const pieces = bounds.slice(1).map((end, i) => GOOD.slice(bounds[i], end));
        const { fault, head, rest } = readRequest(pieces);
        expect([fault, rest, head.count, head.value(1)]).toEqual([null, "rest", 3, "two words"]);
      }),
    );
  });

  test("has as many fields as the limit allows, all of them as they came, and so has the next one", () => {
    const lines = Array.from(
      { length: DEFAULT_LIMITS.headFieldsMax - 1 },
      (_, i) => `F${i}: v${i}`,
    );
    const head = new Http1RequestHead();
    const reader = requestHeadReader(head, DEFAULT_LIMITS);
    for (const count of [lines.length, 3, lines.length]) {
      const text = ["GET / HTTP/1.1", "Host: a", ...lines.slice(0, count), "", ""].join("\r\n");
      const bytes = Buffer.from(text, "latin1");
      expect(reader.read(bytes, 0, bytes.length)).toBe(COMPLETE);
      const read = Array.from(
        { length: head.count },
        (_, i) => `${head.name(i)}: ${head.value(i)}`,
      );
      expect(read).toEqual(["Host: a", ...lines.slice(0, count)]);
      expect(head.find(`f${count - 1}`, 0)).toBe(count);
    }
  });

  test("may follow one empty line, not two", () => {
    expect(readRequest(["\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"]).fault).toBeNull();
    expect(readRequest(["\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]).fault).toBe("head-malformed");
  });

  test("in absolute-form is read as origin-form if its authority is the host", () => {
    const { fault, head } = readRequest(["GET http://a:80/x?y HTTP/1.1\r\nHost: A:80\r\n\r\n"]);
    expect(fault).toBeNull();
    expect((head as Http1RequestHead).target).toBe("/x?y");
    const bare = readRequest(["GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n"]);
    expect((bare.head as Http1RequestHead).target).toBe("/?y");
  });

  test("of OPTIONS in absolute-form without path and query is about the whole server", () => {
    const targetOf = (line: string) =>
      (readRequest([`${line} HTTP/1.1\r\nHost: a\r\n\r\n`]).head as Http1RequestHead).target;
    expect(targetOf("OPTIONS http://a")).toBe("*");
    expect(targetOf("OPTIONS http://a/")).toBe("/");
    expect(targetOf("OPTIONS http://a?y")).toBe("/?y");
    expect(targetOf("GET http://a")).toBe("/");
  });

  const host = "Host: a\r\n";
  const refused: readonly (readonly [FaultCode, string, string])[] = [
    ["head-malformed", "HTTP/0.9", "GET /\r\n\r\n"],
    ["head-malformed", "two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "bytes behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"],
    ["head-malformed", "a longer version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a byte above ASCII in the target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "a target that is no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "an asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["head-malformed", "bare line feeds", "GET / HTTP/1.1\nHost: a\n\n"],
    [
      "head-malformed",
      "a bare carriage return in a value",
      `GET / HTTP/1.1\r\n${host}X: a\rb\r\n\r\n`,
    ],
    ["head-malformed", "NUL in a value", `GET / HTTP/1.1\r\n${host}X: a\x00b\r\n\r\n`],
    ["head-malformed", "DEL in a value", `GET / HTTP/1.1\r\n${host}X: a\x7fb\r\n\r\n`],
    ["head-malformed", "a folded line", `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`],
    ["head-malformed", "a folded first line", `GET / HTTP/1.1\r\n ${host}\r\n`],
    ["head-malformed", "a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["head-malformed", "no colon", `GET / HTTP/1.1\r\n${host}X\r\n\r\n`],
    ["head-malformed", "an empty name", `GET / HTTP/1.1\r\n${host}: a\r\n\r\n`],
    ["head-malformed", "a name that is no token", `GET / HTTP/1.1\r\n${host}X[]: a\r\n\r\n`],
    ["head-malformed", "CR LF CR at the end", `GET / HTTP/1.1\r\n${host}\r\rX`.concat("\n\r\n")],
    ["version-unsupported", "HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"],
    ["version-unsupported", "HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["method-unsupported", "CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"],
    ["host-invalid", "no host", "GET / HTTP/1.1\r\n\r\n"],
    ["host-invalid", "two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
    ["host-invalid", "an empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n"],
    ["host-invalid", "a list of hosts", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"],
    ["host-invalid", "a user in the host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"],
    ["host-invalid", "a path in the host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    ["host-invalid", "a port past 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"],
    [
      "host-invalid",
      "absolute-form with another host",
      "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    [
      "framing-ambiguous",
      "length and chunks",
      `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "two lengths",
      `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "a list of lengths",
      `POST / HTTP/1.1\r\n${host}Content-Length: 1, 1\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "a signed length",
      `POST / HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "a hexadecimal length",
      `POST / HTTP/1.1\r\n${host}Content-Length: 0x5\r\n\r\n`,
    ],
    ["framing-ambiguous", "an empty length", `POST / HTTP/1.1\r\n${host}Content-Length:\r\n\r\n`],
    [
      "framing-ambiguous",
      "a length past 2^53",
      `POST / HTTP/1.1\r\n${host}Content-Length: 9007199254740992\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "leading zeros past the limit",
      `POST / HTTP/1.1\r\n${host}Content-Length: 00000000000000005\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "chunks twice",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    [
      "framing-ambiguous",
      "chunks in HTTP/1.0",
      `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`,
    ],
    [
      "transfer-coding-unsupported",
      "gzip",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    ],
    [
      "transfer-coding-unsupported",
      "xchunked",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n`,
    ],
    [
      "transfer-coding-unsupported",
      "identity",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: identity\r\n\r\n`,
    ],
  ];
  test.each(refused)("is refused as %s: %s", (fault, _what, text) => {
    expect(readRequest([text]).fault).toBe(fault);
  });

  test("is refused at each limit, and accepted just below it", () => {
    const limits = {
      ...DEFAULT_LIMITS,
      headBytesMax: 200,
      requestLineBytesMax: 60,
      headFieldsMax: 3,
    };
    const request = (target: string, fields: string) =>
      readRequest([`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`], limits).fault;
    expect(request(`/${"x".repeat(44)}`, "")).toBeNull();
    expect(request(`/${"x".repeat(45)}`, "")).toBe("target-too-long");
    expect(readRequest(["G".repeat(60)], limits).fault).toBe("target-too-long");
    expect(request("/", "A: 1\r\nB: 2\r\n")).toBeNull();
    expect(request("/", "A: 1\r\nB: 2\r\nC: 3\r\n")).toBe("head-too-large");
    const field = (headBytes: number) =>
      `A: ${"x".repeat(headBytes - "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n".length)}\r\n`;
    expect(request("/", field(200))).toBeNull();
    expect(request("/", field(201))).toBe("head-too-large");
  });
});

describe("a response head", () => {
  test("gives status and framing; HEAD, 204 and 304 have no body", () => {
    const sized = readResponse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    expect([sized.fault, sized.head.status, sized.head.hasBody, sized.head.bodyBytes]).toEqual([
      null,
      200,
      true,
      5,
    ]);
    expect(readResponse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).head.hasBody).toBe(
      false,
    );
    expect(readResponse("HTTP/1.1 204 No Content\r\n\r\n").head.hasBody).toBe(false);
    expect(
      readResponse("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").head.hasBody,
    ).toBe(false);
    expect(readResponse("HTTP/1.1 200 OK\r\n\r\n").head.hasBody).toBe(true);
    expect(readResponse("HTTP/1.0 200\r\n\r\n").fault).toBeNull();
  });

  test.each([
    "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 200 O\x00K\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "HTTP/1.1 200 OK\nX: a\n\n",
  ])("is refused: %j", (text) => {
    expect(readResponse(text).fault).toBe("head-malformed");
  });

  test.each([
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  ])("with ambiguous framing is refused: %j", (text) => {
    expect(readResponse(text).fault).toBe("upstream-malformed");
  });
});

test("a head remembers the values asked for last, up to 512 characters each", () => {
  const values = ["x".repeat(512), "y".repeat(513)];
  const fields = values.map((value, i) => `X-${i}: ${value}\r\n`).join("");
  const { head } = readRequest([`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`]);
  expect([head.value(1), head.recentIndex]).toEqual([values[0], 1]);
  expect([head.value(2), head.recentIndex]).toEqual([values[1], 1]);
});
