import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Dice } from "../harness/dice.ts";
import { startProxy } from "../harness/proxy.ts";

/**
 * Uploads of some KiB, pipelined and in pieces, many at once: what they were read into is used again for
 * the next one, so each must come back as it was sent, also where it is sent twice, waits behind
 * another one, or is answered before it was read.
 */
const CONNECTIONS = 24;
const REQUESTS = 30;
const SEED = 20_261_126;
const BODY_BYTES_MAX = 40 * 1024;

/** What the service does with a request. `drop`: the first time, on a connection that was used before. */
type Mode = "echo" | "slow" | "early" | "drop";
const MODES: readonly Mode[] = ["echo", "echo", "slow", "early", "drop"];

/** A body that tells whose it is at each of its bytes. */
function bodyOf(id: number, bytes: number): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i++) body[i] = (id * 151 + i * 7 + (i >> 8) * 13) & 0xff;
  return body;
}

async function startService(dropped: Set<string>): Promise<string> {
  const used = new WeakSet<Socket>();
  const server = createServer((request, response) => {
    const { socket } = request;
    const id = String(request.headers["x-id"]);
    const mode = request.headers["x-mode"];
    const isReused = used.has(socket);
    used.add(socket);
    if (mode === "drop" && isReused && !dropped.has(id)) {
      dropped.add(id);
      socket.destroy();
    } else if (mode === "early") {
      response.end("early");
      request.resume();
    } else if (mode === "slow") setTimeout(() => echo(request, response), 5);
    else echo(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => response.end(Buffer.concat(pieces)));
}

/** Bodies of the answers on a connection, in order. */
function readAnswers(socket: Socket, count: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const bodies: Buffer[] = [];
    let rest = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after ${bodies.length} answers`)));
    socket.on("data", (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = rest.toString("latin1", 0, end);
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
        if (!/^HTTP\/1.1 200 /.test(head) || Number.isNaN(length)) {
          reject(new Error(`an answer that is none of the service: ${head}`));
          return;
        }
        if (rest.length < end + 4 + length) return;
        bodies.push(rest.subarray(end + 4, end + 4 + length));
        rest = rest.subarray(end + 4 + length);
        if (bodies.length === count) resolve(bodies);
      }
    });
  });
}

test("uploads come back as they were sent, whatever is going on beside them", async () => {
  const dropped = new Set<string>();
  const proxy = await startProxy({ baseline: await startService(dropped) });
  const uploads = Array.from({ length: CONNECTIONS }, async (_, connection) => {
    const dice = Dice.of(SEED, String(connection));
    const socket = connect(proxy.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const sent: { id: number; bytes: number; mode: Mode }[] = [];
    const answers = readAnswers(socket, REQUESTS);
    for (let i = 0; i < REQUESTS; i++) {
      const each = {
        id: connection * REQUESTS + i,
        bytes: dice.oneIn(4) ? dice.below(200) : dice.below(BODY_BYTES_MAX),
        mode: dice.pick(MODES),
      };
      sent.push(each);
      const head =
        "PUT / HTTP/1.1\r\nHost: a\r\n" +
        `X-Id: ${each.id}\r\nX-Mode: ${each.mode}\r\nContent-Length: ${each.bytes}\r\n\r\n`;
      await sendInPieces(
        socket,
        dice,
        Buffer.concat([Buffer.from(head), bodyOf(each.id, each.bytes)]),
      );
    }
    const bodies = await answers;
    const wrong = sent.filter(({ id, bytes, mode }, i) => {
      const expected = mode === "early" ? Buffer.from("early") : bodyOf(id, bytes);
      return bodies[i]?.equals(expected) !== true;
    });
    expect(wrong, `connection ${connection}`).toEqual([]);
  });
  await Promise.all(uploads);
  expect(dropped.size).toBeGreaterThan(0);
});

/** Mostly as a whole, so that reads bring much; at times with the next one right behind. */
async function sendInPieces(socket: Socket, dice: Dice, bytes: Buffer): Promise<void> {
  const cut = dice.oneIn(3) ? dice.below(bytes.length) : bytes.length;
  socket.write(bytes.subarray(0, cut));
  if (cut < bytes.length) {
    await pause(dice.below(4));
    socket.write(bytes.subarray(cut));
  }
  if (!dice.oneIn(3)) await pause(dice.below(8));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
