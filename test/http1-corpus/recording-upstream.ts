/** An upstream that keeps every byte, frames as leniently as the worst, and answers as it is told. */
import { createServer, type Socket } from "node:net";
import type { Step } from "./parse-corpus.ts";
import { takeSteps } from "./take-steps.ts";

/** A request as it arrived, byte for byte. */
export interface Arrival {
  readonly bytes: string;
  /** First two words of the request line. */
  readonly name: string;
  readonly connection: number;
}

export interface RecordingUpstream {
  readonly port: number;
  /** Whole requests since begin(), in the order in which they came. */
  readonly arrivals: readonly Arrival[];
  /** Bytes of no whole request since begin(). */
  readonly rest: string;
  /** Forgets what came before. `reply`: what to do with each request that is no probe. */
  begin(reply: readonly Step[] | null): void;
  close(): Promise<void>;
}

/** Requests of the suite's own, to see that a connection is still in step. */
export const PROBE = /^GET \/(?:marker|after)-\d+$/;

/** A date in ordinary answers, so that the proxy need not add one. */
const DATE = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/** Starts it. `closesAfterProbe`: each case then begins with a fresh upstream connection. */
export async function startRecordingUpstream(
  closesAfterProbe: boolean,
): Promise<RecordingUpstream> {
  const sockets = new Set<Socket>();
  const unread = new Map<number, string>();
  let arrivals: Arrival[] = [];
  let reply: readonly Step[] | null = null;
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.end());
    socket.on("data", (bytes) => {
      unread.set(connection, (unread.get(connection) ?? "") + bytes.toString("latin1"));
      for (;;) {
        const text = unread.get(connection) ?? "";
        const end = lenientEnd(text);
        if (end < 0) return;
        unread.set(connection, text.slice(end));
        const arrival = { bytes: text.slice(0, end), name: nameOf(text), connection };
        arrivals.push(arrival);
        if (PROBE.test(arrival.name)) {
          socket.write(plainAnswer(arrival.name, closesAfterProbe));
          if (closesAfterProbe) socket.end();
        } else if (reply === null) socket.write(plainAnswer(arrival.name, false));
        else void takeSteps(socket, reply);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    get arrivals() {
      return arrivals;
    },
    get rest() {
      return [...unread.values()].join("");
    },
    begin(next) {
      arrivals = [];
      unread.clear();
      reply = next;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function nameOf(text: string): string {
  return text.split(/[ \r\n]+/, 2).join(" ");
}

/** Says which request it answers. */
function plainAnswer(name: string, closes: boolean): string {
  const body = name.startsWith("HEAD ") ? "" : name;
  const close = closes ? "Connection: close\r\n" : "";
  return `HTTP/1.1 200 OK\r\n${DATE}${close}Content-Length: ${name.length}\r\n\r\n${body}`;
}

/** Where the first request ends, read as wrongly as can be; -1 if more has to come. */
function lenientEnd(text: string): number {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return -1;
  const head = text.slice(0, headEnd);
  const start = headEnd + 4;
  if (/^transfer-encoding\s*:[^\n]*chunked/im.test(head)) return lenientChunksEnd(text, start);
  const length = Number.parseInt(/^content-length\s*:\s*(\S+)/im.exec(head)?.[1] ?? "0", 10) || 0;
  return text.length < start + length ? -1 : start + length;
}

function lenientChunksEnd(text: string, start: number): number {
  let at = start;
  for (;;) {
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd < 0) return -1;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 1;
    if (!(size > 0)) break;
    at += size + 2;
  }
  if (text.startsWith("\r\n", at)) return at + 2;
  const end = text.indexOf("\r\n\r\n", at);
  return end < 0 ? -1 : end + 4;
}
