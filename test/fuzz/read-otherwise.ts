import { CONNECTION_OPTIONS_MAX } from "../../proxy/message/connection-options.ts";
import type { Difference } from "./difference.ts";
import type { NodeRule } from "./node-rules.ts";
import { isChunkedAndTab } from "./node-stricter.ts";
import { type Message, valuesOf } from "./outcome.ts";

/**
 * What both take and not as the same: the dangerous direction. Each rule says why nobody behind us is
 * deceived.
 */
export const READ_OTHERWISE: readonly NodeRule[] = [
  keepAlive(
    "proxy-connection",
    "llhttp takes Proxy-Connection for Connection; it is removed by us",
    ({ fields }) => valuesOf(fields, "proxy-connection").length > 0,
  ),
  keepAlive(
    "head-without-length",
    "llhttp tells before it hears that the request was HEAD",
    (message, difference) => difference.method === "HEAD" && message.keepsAlive,
  ),
  keepAlive(
    "ten-options",
    "the tenth option of Connection refuses a request; a response's close is seen",
    ({ fields }) =>
      valuesOf(fields, "connection").join().split(",").length > CONNECTION_OPTIONS_MAX,
  ),
  keepAlive(
    "response-1.0",
    "a keep-alive of HTTP/1.0 is not relied on",
    (message, { input }) =>
      input.kind === "responses" && message.minorVersion === 0 && !message.keepsAlive,
  ),
  keepAlive(
    "close-and-keep-alive",
    "RFC 9112 9.3: close counts; in HTTP/1.0 llhttp looks for keep-alive alone",
    (message) =>
      message.minorVersion === 0 &&
      !message.keepsAlive &&
      /\bclose\b/i.test(valuesOf(message.fields, "connection").join()),
  ),
  {
    name: "interim-body",
    why: "RFC 9112 6.3 rule 1: no 1xx has a body; llhttp reads one but for 100 and 101. Its framing is not passed on",
    explains: ({ input, ourMessage, before }) =>
      input.kind === "responses" && (isFramedInterim(ourMessage) || isFramedInterim(before)),
  },
  {
    name: "coding-and-tab",
    why: "RFC 9110 5.5: white space behind a value is none of it; llhttp knows no such coding, so we send it plain",
    explains: ({ kind, text, input, ourMessage }) =>
      (kind === "read-otherwise" || kind === "node-finishes") &&
      ourMessage?.framing === "chunked" &&
      (input.kind === "responses" || valuesOf(ourMessage.fields, "upgrade").length > 0) &&
      isChunkedAndTab(text.slice(0, text.indexOf("\r\n\r\n") + 2)),
  },
  {
    name: "pri",
    why: "PRI is a method like others here; llhttp waits for what follows it in HTTP/2, also behind a whole request",
    explains: ({ kind, node, ourMessage }) =>
      kind === "ends-otherwise" && node === "cut" && ourMessage?.what === "PRI",
  },
  {
    name: "empty-line-behind",
    why: "the beginning of a request to us, nothing to llhttp; nothing is passed on",
    explains: ({ kind, ours, text }) =>
      kind === "ends-otherwise" && ours === "cut" && /^(?:\r\n)?\r*$/.test(text),
  },
  {
    name: "response-1.0-to-head",
    why: "nothing is read behind a response of HTTP/1.0; llhttp goes on, once told that it has no body",
    explains: ({ kind, ours, before, input }) =>
      kind === "ends-otherwise" &&
      ours === "closed" &&
      input.kind === "responses" &&
      before?.minorVersion === 0 &&
      before.framing === "none",
  },
  {
    name: "leaves-http",
    why: "llhttp stops behind a request for an upgrade; we go on, unless the upstream answers 101",
    explains: ({ node, before, kind }) =>
      node === "tunnel" &&
      before !== null &&
      kind !== "node-accepts" &&
      valuesOf(before.fields, "upgrade").length > 0 &&
      valuesOf(before.fields, "connection").join().toLowerCase().includes("upgrade"),
  },
];

function isFramedInterim(message: Message | null): boolean {
  if (message === null || !/^1(?!00|01)/.test(message.what)) return false;
  const { fields } = message;
  return (
    [...valuesOf(fields, "content-length"), ...valuesOf(fields, "transfer-encoding")].length > 0
  );
}

/** A rule about messages that differ only in whether another one may follow. */
function keepAlive(
  name: string,
  why: string,
  test: (ours: Message, difference: Difference) => boolean,
): NodeRule {
  return {
    name,
    why,
    explains: (difference) => {
      const { kind, parts, ourMessage } = difference;
      if (kind !== "read-otherwise" || parts.join() !== "keepsAlive") return false;
      return ourMessage !== null && test(ourMessage, difference);
    },
  };
}
