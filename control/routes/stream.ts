import type { FastifyReply } from "fastify";
import type { WatchSink } from "../watch/watchers.ts";

/** Dead peers are found after this long without an answer, in milliseconds. */
const KEEP_ALIVE_MS = 30_000;

/** Turns a reply into a stream of server-sent events; from then on Fastify is out of it. */
export function openStream(
  reply: FastifyReply,
  headers: Readonly<Record<string, string>> = {},
): WatchSink {
  reply.hijack();
  const response = reply.raw;
  response.socket?.setNoDelay(true);
  response.socket?.setKeepAlive(true, KEEP_ALIVE_MS);
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    ...headers,
  });
  response.flushHeaders();
  return {
    write: (bytes) => void response.write(bytes),
    queuedBytes: () => response.writableLength,
    drop: () => void response.destroy(),
  };
}

/** Calls back once when the stream is over, whoever ended it. */
export function onStreamEnd(reply: FastifyReply, ended: () => void): void {
  if (reply.raw.closed) ended();
  else reply.raw.once("close", ended);
}
