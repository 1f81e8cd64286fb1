/** Answers every request with what it took it for, and says so on stdout. */
import { createServer } from "node:http";

createServer((request, response) => {
  let size = 0;
  request.on("data", (piece: Buffer) => {
    size += piece.length;
  });
  request.on("end", () => {
    const text = `${request.method} ${request.url} ${size}`;
    process.stdout.write(`${text}\n`);
    response.setHeader("Content-Length", Buffer.byteLength(text, "latin1"));
    response.end(text, "latin1");
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
