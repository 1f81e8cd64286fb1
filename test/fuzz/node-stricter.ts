import { METHODS } from "node:http";
import type { Difference } from "./difference.ts";
import type { NodeRule } from "./node-rules.ts";

/** What we read and Node's parser refuses, or refuses before we have seen the end of it. */
export const NODE_IS_STRICTER: readonly NodeRule[] = [
  rule(
    "unknown-method",
    "RFC 9110 9.1: methods are passed on, known or not; llhttp has a list",
    (difference) => {
      const { input, node, text } = difference;
      const method = /^(?:\r\n)?([^ \r\n]*)/.exec(text)?.[1] ?? "";
      return (
        input.kind === "requests" && node === "HPE_INVALID_METHOD" && !METHODS.includes(method)
      );
    },
  ),
  rule(
    "pri",
    "PRI is a method like others here; llhttp knows it as the first word of HTTP/2",
    ({ node, text }) => node === "HPE_INVALID_VERSION" && /^(?:\r\n)?PRI /.test(text),
  ),
  rule(
    "extension-form",
    "RFC 9112 7.1.1: unknown extensions are ignored; llhttp checks their form",
    ({ node, refusedText }) =>
      /^HPE_(?:STRICT|INVALID_CHUNK_SIZE|HIDDEN)$/.test(node) &&
      /\n[0-9A-Fa-f]+;[\t -~\x80-\xff]*\r?\n?$/.test(refusedText),
  ),
  rule(
    "coding-and-tab",
    "RFC 9110 5.5: white space behind a value is none of it; it goes on without",
    (difference) =>
      difference.node === "HPE_INVALID_TRANSFER_ENCODING" &&
      isChunkedAndTab(difference.refusedText),
  ),
  rule(
    "interim-close",
    "an interim response says nothing of the connection's end",
    ({ node, before }) =>
      node === "HPE_CLOSED_CONNECTION" &&
      before !== null &&
      /^1\d\d$/.test(before.what) &&
      !before.keepsAlive,
  ),
  {
    name: "before-end-of-head",
    why: "target, host and framing are looked at when the head is whole",
    explains: ({ kind, ourMessage, node, refusedText }) =>
      kind === "node-refuses-sooner" && ourMessage === null && isInJudgedLine(node, refusedText),
  },
  {
    name: "before-end-of-trailers",
    why: "trailers are looked at when the last is there",
    explains: ({ kind, ourMessage, refusedText }) =>
      kind === "node-refuses-sooner" &&
      ourMessage?.framing === "chunked" &&
      /\n0+(?:;[^\r\n]*)?\r\n(?:[^\n]*\r\n)*[^\n]*\n?$/.test(refusedText),
  },
  {
    name: "in-unfinished-line",
    why: "a line of a head is looked at when it is whole, llhttp looks at each byte",
    explains: ({ kind, ourMessage, text, refusedText }) =>
      kind === "node-refuses-sooner" &&
      ourMessage === null &&
      refusedText.length > text.lastIndexOf("\n") + 1,
  },
];

function rule(name: string, why: string, test: (difference: Difference) => boolean): NodeRule {
  return {
    name,
    why,
    explains: (difference) => {
      const { kind } = difference;
      return (kind === "node-refuses" || kind === "node-refuses-sooner") && test(difference);
    },
  };
}

/** Whether the last Transfer-Encoding of a head is `chunked` with a tab behind it. */
export function isChunkedAndTab(text: string): boolean {
  return /\ntransfer-encoding:[\t ]*chunked[\t ]*\t[\t ]*\r\n/i.test(text);
}

function isInJudgedLine(node: string, refusedText: string): boolean {
  switch (node) {
    case "HPE_INVALID_URL":
      return /^(?:\r\n)?[^\n]*$/.test(refusedText);
    // An empty value is refused with the first byte of the next line.
    case "HPE_INVALID_CONTENT_LENGTH":
    case "HPE_UNEXPECTED_CONTENT_LENGTH":
      return /\ncontent-length:[^\n]*(?:\r\n.?)?$/is.test(refusedText);
    case "HPE_INVALID_TRANSFER_ENCODING":
      return /\ntransfer-encoding:[^\n]*(?:\r\n.?)?$/is.test(refusedText);
    default:
      return false;
  }
}
