import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FaultCode } from "../fault.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import type { Trailers } from "../message/field-list.ts";
import { BODY_UNSIZED } from "../message/head.ts";
import { BodyDecoder } from "./decode-body.ts";
import { declareBody, Http1Head } from "./head.ts";

interface Decoded {
  body: string;
  trailers: Trailers | null;
  ended: boolean;
  fault: FaultCode | null;
  rest: string;
}

/** Decodes a body from pieces, each in a buffer that is written over afterwards. */
function decode(
  framing: number | "chunked" | "until-close",
  pieces: readonly string[],
  limits = DEFAULT_LIMITS,
): Decoded {
  const head = new Http1Head();
  declareBody(head, typeof framing === "number" ? framing : BODY_UNSIZED, framing === "chunked");
  const decoder = new BodyDecoder(limits);
  decoder.begin(head);
  const decoded: Decoded = {
    body: "",
    trailers: null,
    ended: decoder.isDone,
    fault: null,
    rest: "",
  };
  const receiver = {
    onBody: (bytes: Buffer) => {
      decoded.body += bytes.toString("latin1");
    },
    onBodyEnd: (trailers: Trailers | null) => {
      decoded.ended = true;
      decoded.trailers = trailers;
    },
  };
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, "latin1");
    const next = decoder.isDone ? 0 : decoder.decode(bytes, 0, bytes.length, receiver);
    if (typeof next === "string") return { ...decoded, fault: next };
    decoded.rest += bytes.toString("latin1", next);
    bytes.fill(0x58);
  }
  return decoded;
}

const CHUNKED = '5\r\nhello\r\n6;a="b"\r\n world\r\n000\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\nGET /';

describe("a body", () => {
  test("with a length ends after it", () => {
    expect(decode(5, ["hel", "lo", "GET /"])).toMatchObject({
      body: "hello",
      ended: true,
      rest: "GET /",
    });
    expect(decode(0, ["GET /"])).toMatchObject({ body: "", ended: true, rest: "GET /" });
  });

  test("until the end of the connection takes everything", () => {
    expect(decode("until-close", ["a", "b"])).toMatchObject({ body: "ab", ended: false });
  });

  test("in chunks gives content and trailers, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(CHUNKED.length), { maxLength: 20 }), (cuts) => {
        const bounds = [0, ...[...cuts].sort((a, b) => a - b), CHUNKED.length];
        const pieces = bounds.slice(1).map((end, i) => CHUNKED.slice(bounds[i], end));
        expect(decode("chunked", pieces)).toEqual({
          body: "hello world",
          trailers: ["X-Sum", "1", "X-Two", "2"],
          ended: true,
          fault: null,
          rest: "GET /",
        });
      }),
    );
  });

  test("in chunks of any size is passed on in few pieces, none written over by another", () => {
    const content = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 600 })),
    );
    fc.assert(
      fc.property(content, fc.array(fc.nat(2_000), { maxLength: 5 }), (sizes, cuts) => {
        const chunks = sizes.map((size, i) => String.fromCharCode(97 + (i % 26)).repeat(size));
        const framed = chunks.map((it) => `${it.length.toString(16)}\r\n${it}\r\n`).join("");
        const bytes = Buffer.from(`${framed}0\r\n\r\n`, "latin1");
        const decoder = new BodyDecoder(DEFAULT_LIMITS);
        const head = new Http1Head();
        declareBody(head, BODY_UNSIZED, true);
        decoder.begin(head);
        const kept: Buffer[] = [];
        const receiver = {
          onBody: (piece: Buffer) => kept.push(piece),
          onBodyEnd: () => undefined,
        };
        let start = 0;
        for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
          const end = Math.min(cut, bytes.length);
          if (end > start) expect(decoder.decode(bytes, start, end, receiver)).toBe(end);
          start = Math.max(start, end);
        }
        expect(Buffer.concat(kept).toString("latin1")).toBe(chunks.join(""));
        const large = chunks.filter((it) => it.length >= 256).length;
        expect(kept.length).toBeLessThanOrEqual(2 * large + 2 * (cuts.length + 1));
      }),
    );
  });

  const malformed: readonly (readonly [string, string])[] = [
    ["no size", "\r\nhello\r\n0\r\n\r\n"],
    ["a prefix on the size", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["a sign on the size", "-5\r\nhello\r\n0\r\n\r\n"],
    ["an underscore in the size", "1_0\r\n"],
    ["a space behind the size", "5 \r\nhello\r\n0\r\n\r\n"],
    ["a size that overflows", "fffffffffffffff0\r\n"],
    ["a bare line feed behind the size", "5\nhello\r\n0\r\n\r\n"],
    ["a bare carriage return behind the size", "5\r\rhello\r\n0\r\n\r\n"],
    ["a bare line feed in an extension", "5;a\nhello\r\n0\r\n\r\n"],
    ["a control byte in an extension", "5;a\x00\r\nhello\r\n0\r\n\r\n"],
    ["no line end behind the chunk", "5\r\nhelloX\r\n0\r\n\r\n"],
    ["a bare line feed behind the chunk", "5\r\nhello\n0\r\n\r\n"],
    ["a trailer that is no field", "0\r\nnonsense\r\n\r\n"],
    ["a bare line feed in the trailers", "0\r\nX: 1\n\r\n"],
    ["a length among the trailers", "0\r\nContent-Length: 5\r\n\r\n"],
    ["a transfer coding among the trailers", "0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a host among the trailers", "0\r\nHost: a\r\n\r\n"],
    ["a tag among the trailers", "0\r\nBaggage: sandbox=jane-42\r\n\r\n"],
    ["credentials among the trailers", "0\r\nAuthorization: x\r\n\r\n"],
    ["a source address among the trailers", "0\r\nX-Forwarded-For: x\r\n\r\n"],
    ["a field of ours among the trailers", "0\r\nForklane-Anything: x\r\n\r\n"],
  ];
  test.each(malformed)("in chunks is refused with %s", (_what, text) => {
    expect(decode("chunked", [text]).fault).toBe("body-malformed");
  });

  test("is refused at each limit, and accepted just below it", () => {
    const extension = (bytes: number) => `1;${"e".repeat(bytes)}\r\nx\r\n`;
    expect(decode("chunked", [extension(256)]).fault).toBeNull();
    expect(decode("chunked", [extension(257)]).fault).toBe("body-malformed");
    expect(decode("chunked", [extension(256).repeat(64)]).fault).toBeNull();
    expect(decode("chunked", [extension(256).repeat(65)]).fault).toBe("body-malformed");
    const trailers = (count: number) => `0\r\n${"A: 1\r\n".repeat(count)}\r\n`;
    expect(decode("chunked", [trailers(32)]).fault).toBeNull();
    expect(decode("chunked", [trailers(33)]).fault).toBe("trailers-too-large");
    expect(decode("chunked", [`0\r\nA: ${"x".repeat(8 * 1024)}`]).fault).toBe("trailers-too-large");
  });
});
