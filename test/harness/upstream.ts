import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A request as an upstream saw it, byte for byte. */
export interface SeenRequest {
  readonly head: string;
  readonly body: string;
  readonly connection: number;
}

/** A small service on a raw socket, so that a test sees and says every byte. */
export interface Upstream {
  readonly at: string;
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  readonly connections: number;
  /** Closes the port and all connections. */
  close(): Promise<void>;
}

/** What to do with a request: bytes to answer with, or a free hand with the socket. */
export type Reply = string | ((request: SeenRequest, socket: Socket) => string | null);

/** Makes a whole response; `body` is what tells one upstream from another. */
export function response(body: string, fields = "", status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${fields}\r\n${body}`;
}

/** Starts an upstream that answers every request alike; it stops with the test. */
export async function startUpstream(reply: Reply, port = 0): Promise<Upstream> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = connections++;
    sockets.add(socket);
    let unread = "";
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.end());
    socket.on("data", (bytes) => {
      unread += bytes.toString("latin1");
      for (;;) {
        const taken = takeRequest(unread);
        if (taken === null) return;
        unread = taken.rest;
        const request = { head: taken.head, body: taken.body, connection };
        requests.push(request);
        const answer = typeof reply === "string" ? reply : reply(request, socket);
        if (answer !== null) socket.write(answer, "latin1");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  onTestFinished(close);
  return {
    at: `127.0.0.1:${bound}`,
    port: bound,
    requests,
    get connections() {
      return connections;
    },
    close,
  };
}

/** Takes one request off what was read, framed by length or chunks; null if it is not whole. */
function takeRequest(text: string): { head: string; body: string; rest: string } | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const head = text.slice(0, end + 4);
  const rest = text.slice(end + 4);
  if (/^transfer-encoding:/im.test(head)) {
    const last = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
    if (last === null) return null;
    const bodyEnd = last.index + last[0].length;
    return { head, body: rest.slice(0, bodyEnd), rest: rest.slice(bodyEnd) };
  }
  const length = Number(/^content-length: *([0-9]+)/im.exec(head)?.[1] ?? 0);
  if (rest.length < length) return null;
  return { head, body: rest.slice(0, length), rest: rest.slice(length) };
}
