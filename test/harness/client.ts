import { connect, type Socket } from "node:net";

/** A response as a caller saw it. */
export interface SeenResponse {
  readonly status: number;
  /** All heads and the body, byte for byte. */
  readonly text: string;
  readonly head: string;
  readonly body: string;
  /** Lower-case name to value, the last one where there are several. */
  readonly fields: Readonly<Record<string, string>>;
  /** Whether the connection was closed behind it, and how. */
  readonly closed: "open" | "ended" | "reset";
}

/** How a test asks for something. */
export interface Ask {
  readonly method?: string;
  readonly path?: string;
  /** Sent as `baggage: sandbox=<tag>`. */
  readonly tag?: string;
  readonly fields?: readonly string[];
  readonly body?: string;
}

/** Sends one request on a connection of its own and reads the response. */
export async function get(port: number, ask: Ask = {}): Promise<SeenResponse> {
  const { method = "GET", path = "/", tag, fields = [], body } = ask;
  const lines = [`${method} ${path} HTTP/1.1`, "host: shop.test", ...fields];
  if (tag !== undefined) lines.push(`baggage: sandbox=${tag}`);
  if (body !== undefined) lines.push(`content-length: ${Buffer.byteLength(body)}`);
  return await sendRaw(port, `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`, method === "HEAD");
}

/** How long a test waits for what has to come, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Sends bytes as they are; resolves at the end of one response, or of the connection. */
export async function sendRaw(port: number, bytes: string, isHead = false): Promise<SeenResponse> {
  const connection = await Connection.open(port);
  connection.write(bytes);
  const response = await connection.response(isHead);
  connection.close();
  return response;
}

/** A raw connection to a proxy. */
export class Connection {
  readonly socket: Socket;
  #text = "";
  #closed: SeenResponse["closed"] = "open";
  readonly #waiters: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => {
      this.#text += bytes.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      if (this.#closed === "open") this.#closed = "ended";
      this.#wake();
    });
    socket.on("error", () => {
      if (this.#closed === "open") this.#closed = "reset";
      this.#wake();
    });
    socket.on("close", () => {
      if (this.#closed === "open") this.#closed = "ended";
      this.#wake();
    });
  }

  static async open(port: number, host = "127.0.0.1"): Promise<Connection> {
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new Connection(socket);
  }

  get closed(): SeenResponse["closed"] {
    return this.#closed;
  }

  /** What was read and not taken by response() yet. */
  get text(): string {
    return this.#text;
  }

  write(bytes: string): void {
    this.socket.write(bytes, "latin1");
  }

  close(): void {
    this.socket.destroy();
  }

  /** Waits until `isThere` holds of what was read, or the connection is closed. */
  async until(isThere: (text: string) => boolean, patienceMs = PATIENCE_MS): Promise<void> {
    const deadlineMs = performance.now() + patienceMs;
    while (!isThere(this.#text) && this.#closed === "open") {
      if (performance.now() > deadlineMs) throw new Error(`nothing more came after: ${this.#text}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Takes the next final response off the connection; interim ones stay in its text. */
  async response(isHead = false, patienceMs = PATIENCE_MS): Promise<SeenResponse> {
    let end = -1;
    await this.until((text) => {
      end = responseEnd(text, isHead);
      return end >= 0;
    }, patienceMs);
    const text = end < 0 ? this.#text : this.#text.slice(0, end);
    this.#text = end < 0 ? "" : this.#text.slice(end);
    return parseResponse(text, this.#closed);
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** Where the first final response in `text` ends; -1 if it is not whole, or ends with the connection. */
function responseEnd(text: string, isHead: boolean): number {
  let start = 0;
  for (;;) {
    const headEnd = text.indexOf("\r\n\r\n", start);
    if (headEnd < 0) return -1;
    const status = Number(text.slice(start + 9, start + 12));
    const head = text.slice(start, headEnd + 2);
    if (status < 200 && status !== 101) {
      start = headEnd + 4;
      continue;
    }
    if (isHead || status === 101 || status === 204 || status === 304) return headEnd + 4;
    if (/^transfer-encoding:/im.test(head)) {
      const last = /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(headEnd + 2));
      return last === null ? -1 : headEnd + 2 + last.index + last[0].length;
    }
    const length = /^content-length: *([0-9]+)/im.exec(head)?.[1];
    if (length === undefined) return -1;
    const end = headEnd + 4 + Number(length);
    return text.length >= end ? end : -1;
  }
}

function parseResponse(text: string, closed: SeenResponse["closed"]): SeenResponse {
  let rest = text;
  while (/^HTTP\/1\.1 1(?!01)/.test(rest)) rest = rest.slice(rest.indexOf("\r\n\r\n") + 4);
  const headEnd = rest.indexOf("\r\n\r\n");
  const head = headEnd < 0 ? rest : rest.slice(0, headEnd + 4);
  const fields: Record<string, string> = {};
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const raw = headEnd < 0 ? "" : rest.slice(headEnd + 4);
  const body = fields["transfer-encoding"] === undefined ? raw : unchunk(raw);
  return { status: Number(head.slice(9, 12)), text, head, body, fields, closed };
}

function unchunk(text: string): string {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || !(size > 0)) return body;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
