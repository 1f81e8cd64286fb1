/**
 * Reads HTTP/1.1 messages as the strictest recipient would, written for clarity alone: no byte is
 * repaired, nothing is guessed. What it cannot read, some recipient reads differently from another.
 */

export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: string;
}

export interface ReadResponse {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: string;
  /** Whether the body ends where the head says that it does. */
  readonly isWhole: boolean;
}

/** Lower-case name, and value. */
export type Field = readonly [name: string, value: string];

/** Messages in order; `rest` is what no message could be read from. */
export interface Read<Message> {
  readonly messages: readonly Message[];
  readonly rest: string;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([!-"$-~]+) HTTP/1\\.([01])$`);
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d) [\t -~\x80-\xff]*$/;
const FIELD_LINE = new RegExp(
  `^(${TOKEN}):[ \\t]*([!-~\\x80-\\xff](?:[\\t -~\\x80-\\xff]*[!-~\\x80-\\xff])?|)[ \\t]*$`,
);

/** Reads the requests that a proxy wrote to one connection. */
export function readRequests(text: string): Read<ReadRequest> {
  const messages: ReadRequest[] = [];
  let rest = text;
  while (rest !== "") {
    const head = readHead(rest, REQUEST_LINE);
    if (head === null) break;
    const hosts = count(head.fields, "host");
    if (hosts > 1 || (hosts === 0 && head.parts[2] === "1")) break;
    const body = readBody(head.rest, head.fields, "");
    if (body === null) break;
    const [method = "", target = ""] = head.parts;
    messages.push({ method, target, fields: head.fields, body: body.content });
    rest = body.rest;
  }
  return { messages, rest };
}

/**
 * Reads the responses that a proxy wrote to one connection, interim ones too. `methods` are those of
 * the requests; `isEnded` tells that the connection was closed, in order, behind the bytes.
 */
export function readResponses(
  text: string,
  methods: readonly string[],
  isEnded: boolean,
): Read<ReadResponse> {
  const messages: ReadResponse[] = [];
  let rest = text;
  let finals = 0;
  while (rest !== "") {
    const head = readHead(rest, STATUS_LINE);
    if (head === null) break;
    const status = Number(head.parts[0]);
    const hasBody = status >= 200 && status !== 204 && status !== 304 && methods[finals] !== "HEAD";
    if (!hasBody) {
      messages.push({ status, fields: head.fields, body: "", isWhole: true });
      rest = head.rest;
    } else {
      const body = readBody(head.rest, head.fields, null);
      if (body === null) {
        const endsWithConnection = !head.fields.some(([name]) => FRAMING.includes(name));
        const isWhole = isEnded && endsWithConnection;
        messages.push({ status, fields: head.fields, body: head.rest, isWhole });
        return { messages, rest: "" };
      }
      messages.push({ status, fields: head.fields, body: body.content, isWhole: true });
      rest = body.rest;
    }
    if (status === 101) break;
    if (status >= 200) finals++;
  }
  return { messages, rest };
}

const FRAMING: readonly string[] = ["content-length", "transfer-encoding"];

interface ReadHead {
  readonly parts: readonly string[];
  readonly fields: readonly Field[];
  readonly rest: string;
}

function readHead(text: string, startLine: RegExp): ReadHead | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const start = startLine.exec(first);
  const fields = readFields(lines);
  if (start === null || fields === null) return null;
  return { parts: start.slice(1), fields, rest: text.slice(end + 4) };
}

function readFields(lines: readonly string[]): Field[] | null {
  const fields: Field[] = [];
  for (const line of lines) {
    const field = FIELD_LINE.exec(line);
    if (field === null) return null;
    fields.push([(field[1] ?? "").toLowerCase(), field[2] ?? ""]);
  }
  return fields;
}

function count(fields: readonly Field[], name: string): number {
  return fields.filter((field) => field[0] === name).length;
}

interface ReadBody {
  readonly content: string;
  readonly rest: string;
}

/** `unframed`: the content of a message that says nothing of it; null if its end cannot be told. */
function readBody(
  text: string,
  fields: readonly Field[],
  unframed: string | null,
): ReadBody | null {
  const framing = fields.filter(([name]) => FRAMING.includes(name));
  if (framing.length === 0) return unframed === null ? null : { content: unframed, rest: text };
  const [name, value] = framing[0] ?? ["", ""];
  if (framing.length > 1) return null;
  if (name === "transfer-encoding")
    return value.toLowerCase() === "chunked" ? readChunks(text) : null;
  if (!/^\d{1,15}$/.test(value) || text.length < Number(value)) return null;
  return { content: text.slice(0, Number(value)), rest: text.slice(Number(value)) };
}

/** Trailers are shown behind the content, since they are part of what the recipient is told. */
function readChunks(text: string): ReadBody | null {
  let content = "";
  let rest = text;
  for (;;) {
    const head = /^([0-9a-fA-F]{1,13})\r\n/.exec(rest);
    if (head === null) return null;
    const size = Number.parseInt(head[1] ?? "", 16);
    rest = rest.slice(head[0].length);
    if (size === 0) break;
    if (rest.slice(size, size + 2) !== "\r\n") return null;
    content += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  if (rest.startsWith("\r\n")) return { content, rest: rest.slice(2) };
  const end = rest.indexOf("\r\n\r\n");
  const trailers = end < 0 ? null : readFields(rest.slice(0, end).split("\r\n"));
  if (trailers === null) return null;
  const shown = trailers.map(([name, value]) => `\n${name}: ${value}`).join("");
  return { content: content + shown, rest: rest.slice(end + 4) };
}
