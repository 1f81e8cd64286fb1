import type { Difference } from "./difference.ts";
import { type Input, LIMITS } from "./input.ts";
import type { NodeRule } from "./node-rules.ts";
import { isChunkedAndTab } from "./node-stricter.ts";
import { type Message, valuesOf } from "./outcome.ts";
import { isForbiddenTrailer } from "./reference.ts";

/**
 * What we refuse and Node's parser reads, or has not refused yet where the bytes end. None of it is
 * ever passed on, so none can be read otherwise by whoever comes next.
 */
export const WE_ARE_STRICTER: readonly NodeRule[] = [
  ofMessage(
    "host-count",
    "host-invalid",
    "RFC 9112 3.2: one Host; Node leaves it to its server",
    (message) => {
      const { length } = valuesOf(message.fields, "host");
      return length > 1 || (length === 0 && message.minorVersion === 1);
    },
  ),
  ofMessage(
    "host-value",
    "host-invalid",
    "RFC 9112 3.2: what is no host is refused",
    ({ fields }) =>
      valuesOf(fields, "host").some(
        (host) => !HOST.test(host) || portOf(host) > 65_535 || isNoAddress(host),
      ),
  ),
  ofMessage(
    "host-of-target",
    "host-invalid",
    "the host in a target has to be that in Host",
    (message) => {
      const authority = /^https?:\/\/([^/?]*)/i.exec(message.target)?.[1];
      const host = valuesOf(message.fields, "host")[0];
      return authority !== undefined && authority.toLowerCase() !== host?.toLowerCase();
    },
  ),
  ofRequestLine(
    "target-form",
    "head-malformed",
    "RFC 9112 3.2: a path, a URI, or * with OPTIONS",
    (line) => {
      const [method, target = ""] = line.split(" ");
      return !(/^(?:\/|https?:\/\/)/i.test(target) || (method === "OPTIONS" && target === "*"));
    },
  ),
  ofRequestLine(
    "target-fragment",
    "head-malformed",
    "RFC 9112 3.2: no target has a fragment",
    (line) => line.includes("#"),
  ),
  ofMessage(
    "connect",
    "method-unsupported",
    "no forward proxy; Node leaves it to its server",
    ({ what }) => what === "CONNECT",
  ),
  ofRequestLine(
    "version",
    "version-unsupported",
    "1.0 and 1.1; llhttp has 0.9 and 2.0 too",
    (line) => / HTTP\/(?:0\.9|2\.0)$/.test(line),
  ),
  ofStatusLine("response-version", "head-malformed", "the same of responses", (line) =>
    /^HTTP\/(?:0\.9|2\.0) /.test(line),
  ),
  ofStatusLine(
    "status-class",
    "head-malformed",
    "RFC 9110 15: a status begins with 1 to 9",
    (line) => /^HTTP\/1\.[01] 0\d\d/.test(line),
  ),
  ofStatusLine(
    "reason",
    "head-malformed",
    "RFC 9112 4: no control byte in the reason",
    (line) => /^HTTP\/1\.[01] \d{3} /.test(line) && hasControl(line),
  ),
  ofMessage(
    "coding-list",
    "transfer-coding-unsupported",
    "chunked alone; Node takes it as the last",
    (message) => !isPlainlyChunked(message),
  ),
  ofMessage(
    "coding-twice",
    "framing-ambiguous",
    "one line of Transfer-Encoding",
    ({ fields }) => valuesOf(fields, "transfer-encoding").length > 1,
  ),
  ofMessage(
    "coding-in-1.0",
    "framing-ambiguous",
    "RFC 9112 6.1: HTTP/1.0 has no codings",
    (message) =>
      message.minorVersion === 0 && valuesOf(message.fields, "transfer-encoding").length > 0,
  ),
  ofMessage(
    "long-length",
    "framing-ambiguous",
    "as many digits as a number holds exactly",
    hasLongLength,
  ),
  ofMessage(
    "response-framing",
    "upstream-malformed",
    "the same of responses, with a body or not",
    (message) =>
      (valuesOf(message.fields, "transfer-encoding").length > 0 &&
        (!isPlainlyChunked(message) || message.minorVersion === 0)) ||
      hasLongLength(message),
  ),
  ofMessage(
    "forbidden-trailer",
    "body-malformed",
    "RFC 9110 6.5.1: no framing, routing, credentials",
    ({ trailers }) => trailers.some((name, i) => i % 2 === 0 && isForbiddenTrailer(name)),
  ),
  ofBytes("long-chunk-size", "body-malformed", "as much as a number holds exactly", (text) =>
    /\n(?:[0-9A-Fa-f]{16}|0*[2-9A-Fa-f][0-9A-Fa-f]{13}|0*[1-9A-Fa-f][0-9A-Fa-f]{14})/.test(text),
  ),
  ofBytes(
    "long-extension",
    "body-malformed",
    "RFC 9112 7.1.1: extensions ought to have a limit",
    (text, limits) => {
      const lengths = [...text.matchAll(/\n[0-9A-Fa-f]+;([^\r\n]*)/g)].map(
        (found) => found[1]?.length ?? 0,
      );
      const all = lengths.reduce((sum, length) => sum + length, 0);
      return (
        Math.max(...lengths) > limits.chunkExtensionBytesMax || all > limits.chunkExtensionsBytesMax
      );
    },
  ),
  ofBytes(
    "coding-and-tab",
    "body-malformed",
    "not chunked to llhttp, so it ends with the connection",
    (text) => isChunkedAndTab(text.slice(0, text.indexOf("\r\n\r\n") + 2)),
  ),
  ofBytes("trailers-limit", "trailers-too-large", "trailers have a limit", (text, limits) => {
    const section = /\n0+(?:;[^\r\n]*)?\r\n(.*)/s.exec(text)?.[1] ?? "";
    return (
      section.length > limits.trailerBytesMax ||
      section.split("\n").length > limits.trailerFieldsMax
    );
  }),
  ofBytes(
    "head-limit",
    "head-too-large",
    "heads have a limit",
    (text, limits) =>
      text.length + 1 > limits.headBytesMax || text.split("\n").length - 1 > limits.headFieldsMax,
  ),
  ofBytes(
    "line-limit",
    "target-too-long",
    "request lines have a limit",
    (text, limits) =>
      text.replace(/^\r\n/, "").replace(/\n.*/s, "").length + 1 > limits.requestLineBytesMax,
  ),
  ofBytes("pri", "host-invalid", "llhttp waits for what follows PRI in HTTP/2", (text) =>
    /^(?:\r\n)?PRI /.test(text),
  ),
  ofRequestLine(
    "no-version",
    "head-malformed",
    "RFC 9112 2.3: a line without a version is no HTTP/1",
    (line) => /^[^ ]+ +[^ ]+ *$/.test(line),
  ),
  ofBytes("other-protocol", "head-malformed", "RTSP and ICE are no HTTP", (text) =>
    /^(?:\r\n)?[^\r\n]*(?:RTSP|ICE)\/\d\.\d/.test(text),
  ),
  ofRequestLine(
    "spaces-in-line",
    "head-malformed",
    "RFC 9112 3: single spaces in a request line",
    (line) => line.includes("  "),
  ),
  ofBytes(
    "empty-lines",
    "head-malformed",
    "RFC 9112 2.2: one empty line, CR LF, may come first",
    (text) => /^[\r\n]/.test(text) && !/^\r\n[^\r\n]/.test(text),
  ),
  refusal(
    "interim-1.0",
    "upstream-malformed",
    "RFC 9110 15.2: HTTP/1.0 has no interim responses",
    ({ input, text }) => input.kind === "responses" && /^HTTP\/1\.0 1/.test(text),
  ),
  refusal(
    "empty-line-before-response",
    "head-malformed",
    "RFC 9112 2.2: it is a server that ignores one, before a request",
    ({ input, text }) => input.kind === "responses" && text.startsWith("\r\n"),
  ),
];

const HOST = /^(?:[\w.~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** Whether a byte is there that is neither visible, nor space, nor tab, nor obs-text. */
function hasControl(line: string): boolean {
  return [...line].some((byte) => (byte < " " && byte !== "\t") || byte === "\x7f");
}

/** Whether there is no IPv6 address within brackets. */
function isNoAddress(host: string): boolean {
  return host.startsWith("[") && !URL.canParse(`http://${host}/`);
}

function portOf(host: string): number {
  return Number(/:(\d+)$/.exec(host)?.[1] ?? 0);
}

function isPlainlyChunked({ fields }: Message): boolean {
  const codings = valuesOf(fields, "transfer-encoding");
  return codings.length === 1 && codings[0]?.toLowerCase() === "chunked";
}

function hasLongLength({ fields }: Message): boolean {
  const [length = ""] = valuesOf(fields, "content-length");
  return /^\d+$/.test(length) && (length.length > 16 || Number(length) > Number.MAX_SAFE_INTEGER);
}

type Test<Looked> = (looked: Looked, limits: (typeof LIMITS)["small"]) => boolean;

/** A rule about a message of which Node has read at least the head. */
function ofMessage(name: string, fault: string, why: string, test: Test<Message>): NodeRule {
  return refusal(
    name,
    fault,
    why,
    ({ nodeMessage }, limits) => nodeMessage !== null && test(nodeMessage, limits),
  );
}

/** A rule about the first line that is not empty, without its line end. */
function ofRequestLine(name: string, fault: string, why: string, test: Test<string>): NodeRule {
  return ofLine("requests", name, fault, why, test);
}

/** The same for responses. */
function ofStatusLine(name: string, fault: string, why: string, test: Test<string>): NodeRule {
  return ofLine("responses", name, fault, why, test);
}

function ofLine(
  kind: Input["kind"],
  name: string,
  fault: string,
  why: string,
  test: Test<string>,
): NodeRule {
  return refusal(name, fault, why, ({ input, text }, limits) => {
    const line = /^(?:\r\n)?([^\r\n]*)/.exec(text)?.[1] ?? "";
    return input.kind === kind && test(line, limits);
  });
}

/** A rule about the bytes from the message's first one on. */
function ofBytes(name: string, fault: string, why: string, test: Test<string>): NodeRule {
  return refusal(name, fault, why, ({ text }, limits) => test(text, limits));
}

function refusal(name: string, fault: string, why: string, test: Test<Difference>): NodeRule {
  return {
    name,
    why,
    explains: (difference) => {
      const { kind, ours, input } = difference;
      const isRefusal = kind === "node-accepts" || kind === "node-waits";
      return isRefusal && ours === fault && test(difference, LIMITS[input.limits]);
    },
  };
}
