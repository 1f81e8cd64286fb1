import { connect, type Socket } from "node:net";
import { BenchError } from "../bench-error.ts";
import { answerLength } from "./load-connection.ts";

/** Connections that are opened at a time: fewer than any proxy's line of those not yet accepted. */
const AT_A_TIME = 50;

/** Connections that stay open and do nothing after their first request. */
export class OpenConnections {
  readonly #sockets: Socket[] = [];

  /** Opens `count`, each with one request answered; `fieldsOf` says its fields, as `name: value`. */
  static async open(
    port: number,
    count: number,
    fieldsOf: (connection: number) => readonly string[],
  ): Promise<OpenConnections> {
    const opened = new OpenConnections();
    for (let i = 0; i < count; i += AT_A_TIME) {
      const some = Array.from({ length: Math.min(AT_A_TIME, count - i) }, (_, index) => {
        const lines = fieldsOf(i + index).map((field) => `${field}\r\n`);
        return ask(port, `GET / HTTP/1.1\r\nhost: bench.test\r\n${lines.join("")}\r\n`);
      });
      opened.#sockets.push(...(await Promise.all(some)));
    }
    return opened;
  }

  /** Fails if one was closed meanwhile: then fewer were open than the figure says. */
  close(): void {
    const gone = this.#sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
    for (const socket of this.#sockets) socket.destroy();
    if (gone > 0) throw new BenchError(`${gone} idle connections were closed by the proxy`);
  }
}

function ask(port: number, request: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      try {
        const length = answerLength(received);
        if (length !== null && received.length >= length) resolve(socket);
      } catch (error) {
        reject(error as Error);
      }
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new BenchError("a connection was closed unanswered")));
    socket.write(request);
  });
}
