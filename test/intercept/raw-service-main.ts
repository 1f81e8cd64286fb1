/**
 * A service that behaves as its path says, for what happens on bad lines: `node raw-service-main.ts
 * NAME PORT`. Writes `began PATH` and `closed PATH` when a request begins, and when its connection is
 * gone.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

const [name = "", port = ""] = process.argv.slice(2);

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

const PIECE = Buffer.alloc(64 * 1024, "forklane ");

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  /** The digest of what was sent. */
  "/digest": (request, response) => {
    const hash = createHash("sha256");
    request.on("data", (bytes) => hash.update(bytes));
    request.on("end", () => response.end(JSON.stringify({ name, digest: hash.digest("hex") })));
  },
  /** 512 KiB. */
  "/large": (_request, response) => {
    response.setHeader("content-length", 8 * PIECE.length);
    for (let i = 0; i < 8; i++) response.write(PIECE);
    response.end();
  },
  /** Never ends, and goes on as fast as it is read. */
  "/endless": (_request, response) => {
    const go = (): void => {
      while (response.write(PIECE)) if (response.destroyed) return;
    };
    response.on("drain", go);
    go();
  },
  /** The beginning of a body, and then nothing more. */
  "/stall": (_request, response) => {
    response.setHeader("content-length", 1_000);
    response.write("begin");
  },
  /** No answer at all. */
  "/silent": () => undefined,
  /** A body that ends with its direction of the connection; the other one stays open. */
  "/until-close": ({ socket }) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"),
  /** The same, in the middle of a body. */
  "/short": ({ socket }) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"),
};

const server = createServer((request, response) => {
  const path = request.url ?? "";
  process.stdout.write(`began ${path}\n`);
  request.socket.once("close", () => process.stdout.write(`closed ${path}\n`));
  const behave = BEHAVIOURS[path];
  if (behave !== undefined) behave(request, response);
  else response.end(JSON.stringify({ name }));
});
server.listen(Number(port), "::", () => process.stdout.write("ready\n"));
