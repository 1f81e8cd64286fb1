import { connect, createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { startProxy } from "../harness/proxy.ts";

/**
 * Bytes must arrive as they were sent, and the writer must be stopped, when the reader is slower than
 * the writer: with small read buffers a slice that is still queued would be written over.
 */
const TOTAL_BYTES = 64 * 1024 * 1024;
const WORDS = TOTAL_BYTES / 4;

/** A piece of the pattern: each 4-byte word is its own index. */
function pattern(firstWord: number, words: number): Buffer {
  const piece = Buffer.allocUnsafe(words * 4);
  for (let i = 0; i < words; i++) piece.writeUInt32LE(firstWord + i, i * 4);
  return piece;
}

/** What the writer may be ahead of a reader that has stopped: the kernel's buffers and our two. */
const AHEAD_BYTES_MAX = 24 * 1024 * 1024;

/** Bytes that the writer got rid of. */
interface Written {
  bytes: number;
}

/** Writes the whole pattern as fast as the socket takes it. */
async function writePattern(socket: Socket, written: Written): Promise<void> {
  const words = 16 * 1024;
  for (let word = 0; word < WORDS && !socket.destroyed; word += words) {
    written.bytes = word * 4;
    if (!socket.write(pattern(word, words))) {
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", () => resolve());
      });
    }
  }
}

/** How long the reader takes nothing at first: enough to write everything to somebody who buffers. */
const FIRST_PAUSE_MS = 400;

/** Reads the pattern with pauses; counts the words that are not what was sent. */
class SlowReader {
  words = 0;
  wrong = 0;
  /** How far ahead the writer was at the end of the first pause. */
  aheadBytes = 0;
  readonly #written: Written;
  #rest = Buffer.alloc(0);
  #reads = 0;

  constructor(written: Written) {
    this.#written = written;
  }

  read(socket: Socket, bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const whole = all.length - (all.length % 4);
    for (let at = 0; at < whole; at += 4) {
      if (all.readUInt32LE(at) !== this.words++) this.wrong++;
    }
    this.#rest = Buffer.from(all.subarray(whole));
    if (++this.#reads % 16 !== 1) return;
    const isFirst = this.#reads === 1;
    socket.pause();
    setTimeout(
      () => {
        if (isFirst) this.aheadBytes = this.#written.bytes - this.words * 4;
        socket.resume();
      },
      isFirst ? FIRST_PAUSE_MS : 1,
    );
  }
}

const HEAD_END = "\r\n\r\n";

async function listen(onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

describe.each([4, 16, 64])("with read buffers of %i KB", (kilobytes) => {
  const limits = { readBufferBytes: kilobytes * 1024 };

  test.each(["length", "chunks"])(
    "64 MB come down to a slow reader unchanged, by %s",
    async (by) => {
      const written = { bytes: 0 };
      const baseline = await listen((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => {
          const framing = by === "length" ? `Content-Length: ${TOTAL_BYTES}\r\n` : "";
          socket.write(`HTTP/1.1 200 OK\r\n${framing}Connection: close\r\n\r\n`);
          void writePattern(socket, written).then(() => socket.end());
        });
      });
      const proxy = await startProxy({ baseline, limits });
      const reader = new SlowReader(written);
      const socket = connect(proxy.port, "127.0.0.1");
      // HTTP/1.0 where the length is not known: the body comes without chunk heads in between.
      socket.write(
        `GET / HTTP/1.${by === "length" ? 1 : 0}\r\nHost: a\r\nConnection: close\r\n\r\n`,
      );
      let head = "";
      const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
      socket.on("data", (bytes: Buffer) => {
        if (head.includes(HEAD_END)) {
          reader.read(socket, bytes);
          return;
        }
        head += bytes.toString("latin1");
        const end = head.indexOf(HEAD_END);
        if (end >= 0) reader.read(socket, Buffer.from(head.slice(end + 4), "latin1"));
      });
      await ended;
      expect([reader.words, reader.wrong]).toEqual([WORDS, 0]);
      expect(reader.aheadBytes).toBeLessThan(AHEAD_BYTES_MAX);
    },
  );

  test("64 MB go up to a slow reader unchanged", async () => {
    const written = { bytes: 0 };
    const reader = new SlowReader(written);
    const baseline = await listen((socket) => {
      let head = "";
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => {
        if (head.includes(HEAD_END)) reader.read(socket, bytes);
        else {
          head += bytes.toString("latin1");
          const end = head.indexOf(HEAD_END);
          if (end >= 0) reader.read(socket, Buffer.from(head.slice(end + 4), "latin1"));
        }
        if (reader.words === WORDS) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
    });
    const proxy = await startProxy({ baseline, limits });
    const socket = connect(proxy.port, "127.0.0.1");
    socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL_BYTES}\r\n\r\n`);
    const answered = new Promise<string>((resolve) => {
      socket.once("data", (bytes) => resolve(bytes.toString("latin1")));
    });
    await writePattern(socket, written);
    expect(await answered).toMatch(/^HTTP\/1\.1 200 OK/);
    socket.destroy();
    expect([reader.words, reader.wrong]).toEqual([WORDS, 0]);
    expect(reader.aheadBytes).toBeLessThan(AHEAD_BYTES_MAX);
  });
});
