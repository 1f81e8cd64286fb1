import { once } from "node:events";
import { connect, createServer, type Socket, type TcpNetConnectOpts } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { FLOW } from "../message/stream.ts";
import { MessageWriter } from "./message-writer.ts";
import { WAITING_BYTES_MAX } from "./write-turn.ts";

/** Two ends of a connection; the one that writes has a queue of so many bytes. */
async function pair(highWaterMark?: number) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const options: TcpNetConnectOpts & { highWaterMark?: number | undefined } = {
    ...{ port, host: "127.0.0.1", noDelay: true, highWaterMark },
  };
  const socket = connect(options);
  const [reader] = await Promise.all([accepted, once(socket, "connect")]);
  reader.pause();
  onTestFinished(() => {
    socket.destroy();
    reader.destroy();
    server.close();
  });
  const written: Buffer[] = [];
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((...args: unknown[]) => {
    written.push(args[0] as Buffer);
    return write(...args);
  }) as Socket["write"];
  const writes = () => written.length;
  const waiting = () => socket.writableLength;
  return { writer: new MessageWriter(socket), reader, writes, waiting, written: () => written };
}

function gatherHead(writer: MessageWriter, head: Buffer, sendsChunks: boolean): void {
  writer.head(sendsChunks).range(head, 0, head.length);
}

async function read(reader: Socket, bytes: number): Promise<string> {
  let text = "";
  reader.setEncoding("latin1");
  reader.on("data", (piece: string) => {
    text += piece;
  });
  reader.resume();
  await expect.poll(() => text.length).toBe(bytes);
  return text;
}

test("a small message is one write, in chunks or as it is", async () => {
  const { writer, reader, writes } = await pair();
  gatherHead(writer, Buffer.from("HEAD "), false);
  writer.body(Buffer.from("body "));
  writer.end(null);
  expect(writer.flush()).toBe(FLOW.FLUSHED);
  gatherHead(writer, Buffer.from("HEAD "), true);
  writer.body(Buffer.from("body"));
  writer.end(["X-Sum", "1"]);
  expect(writer.flush()).toBe(FLOW.FLUSHED);
  const expected = "HEAD body HEAD 4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n";
  expect(await read(reader, expected.length)).toBe(expected);
  expect(writes()).toBe(2);
});

test("a small piece that waits behind others holds nothing but itself", async () => {
  const { writer, written } = await pair();
  const read = Buffer.allocUnsafeSlow(64 * 1024);
  while (writer.opaque(Buffer.alloc(64 * 1024)) === FLOW.FLUSHED);
  writer.opaque(read.subarray(0, 1));
  writer.body(read.subarray(0, 1));
  writer.flush();
  const [one, other] = written().slice(-2);
  expect([one?.length, other?.length]).toEqual([1, 1]);
  expect([one?.buffer === read.buffer, other?.buffer === read.buffer]).toEqual([false, false]);
});

test("what waits for a slow reader is not written over by what others send meanwhile", async () => {
  const [slow, quick] = [await pair(), await pair()];
  const sent: string[] = [];
  const send = ({ writer }: typeof slow, letter: string) => {
    const body = Buffer.from(letter.repeat(12 * 1024));
    gatherHead(writer, Buffer.from("HEAD"), false);
    writer.body(body);
    writer.flush();
    return `HEAD${body}`;
  };
  for (let i = 0; slow.waiting() === 0; i++)
    sent.push(send(slow, String.fromCharCode(97 + (i % 26))));
  sent.push(send(slow, "Y"));
  const other = send(quick, "Z");
  const expected = sent.join("");
  expect(await read(slow.reader, expected.length)).toBe(expected);
  expect(await read(quick.reader, other.length)).toBe(other);
});

test("content between two writes is one chunk, whatever it came in", async () => {
  const { writer, reader, writes } = await pair();
  gatherHead(writer, Buffer.from("HEAD "), true);
  for (const piece of ["a", "bc", "def"]) writer.body(Buffer.from(piece));
  writer.flush();
  for (let i = 0; i < 20_000; i++) writer.body(Buffer.from("x"));
  writer.end(null);
  expect(writer.flush()).toBe(FLOW.FLUSHED);
  writer.flush();
  const expected = `HEAD 6\r\nabcdef\r\n4e20\r\n${"x".repeat(20_000)}\r\n0\r\n\r\n`;
  expect(await read(reader, expected.length)).toBe(expected);
  // Small pieces are joined, also where they are many.
  expect(writes()).toBe(2);
});

test("what was flushed may be written over, small or large, unless the answer says otherwise", async () => {
  const { writer, reader } = await pair();
  const bytes = Buffer.alloc(64 * 1024);
  let sent = 0;
  for (const size of [10, 15_000, 20_000, 64 * 1024]) {
    const piece = bytes.subarray(0, size).fill(0x61);
    gatherHead(writer, Buffer.from("H"), false);
    writer.body(piece);
    const flow = writer.flush();
    sent += 1 + size;
    if (flow === FLOW.FLUSHED) piece.fill(0x62);
    else break;
  }
  expect(await read(reader, sent)).not.toContain("b");
});

test("a message of 48 KiB is one write, of a longer one the large pieces are written as they are", async () => {
  for (const [bodyBytes, own] of [
    [48 * 1024 - 4, [false]],
    [48 * 1024 - 3, [false, true]],
  ] as const) {
    const { writer, written } = await pair();
    const body = Buffer.allocUnsafeSlow(bodyBytes);
    gatherHead(writer, Buffer.from("HEAD"), false);
    writer.body(body);
    writer.flush();
    expect(written().map(({ buffer }) => buffer === body.buffer)).toEqual(own);
  }
});

test("in a long message a piece of 4 KiB is written as it is, and smaller ones are joined", async () => {
  const { writer, written } = await pair();
  const sizes = [64 * 1024, 4_095, 4_095, 4_096];
  const pieces = sizes.map((bytes) => Buffer.allocUnsafeSlow(bytes));
  for (const piece of pieces) writer.body(piece);
  writer.flush();
  const own = written().map(({ buffer }) => pieces.some((piece) => piece.buffer === buffer));
  expect(written().map(({ length }) => length)).toEqual([64 * 1024, 2 * 4_095, 4_096]);
  expect(own).toEqual([true, false, true]);
});

test("of the lists that nobody uses any more sixteen are kept", async () => {
  const writers = await Promise.all(Array.from({ length: 17 }, async () => (await pair()).writer));
  const listsOfAll = () => {
    const lists = writers.map((writer) => writer.head(false));
    for (const writer of writers) writer.dropGathered();
    return new Set(lists);
  };
  const first = listsOfAll();
  expect([first.size, first.intersection(listsOfAll()).size]).toEqual([17, 16]);
});

test("a reader that takes nothing blocks it, and is told once when that is over", async () => {
  const { writer, reader } = await pair();
  let flow: number = FLOW.FLUSHED;
  let sent = 0;
  while (flow !== FLOW.BLOCKED) {
    gatherHead(writer, Buffer.alloc(60_000, 0x61), false);
    flow = writer.flush();
    sent += 60_000;
  }
  expect(writer.isBlocked).toBe(true);
  await read(reader, sent);
  expect([writer.drained(), writer.drained(), writer.isBlocked]).toEqual([true, false, false]);
});

test("long text beside long content is written as the bytes that its characters are", async () => {
  const { writer, reader } = await pair();
  const text = "\u00e9".repeat(5_000);
  writer.head(false).text(text);
  writer.body(Buffer.alloc(20_000, 0x61));
  writer.flush();
  expect(await read(reader, 25_000)).toBe(text + "a".repeat(20_000));
});

test("a small message waits for the end of the turn, and leaves before whatever comes behind it", async () => {
  const { writer, reader, writes } = await pair();
  const small = Buffer.from("small ");
  const send = (bytes: Buffer) => {
    gatherHead(writer, bytes, false);
    return writer.flush();
  };
  expect([send(small), writes(), writer.isWaiting]).toEqual([FLOW.FLUSHED, 0, true]);
  small.fill("x");
  send(Buffer.from("second "));
  expect([writes(), writer.isWaiting]).toEqual([1, true]);
  send(Buffer.alloc(9_000, "l"));
  expect([writes(), writer.isWaiting]).toEqual([3, false]);
  send(Buffer.from("third "));
  writer.opaque(Buffer.from("opaque "));
  expect([writes(), writer.isWaiting]).toEqual([5, false]);
  send(Buffer.from("last"));
  writer.dropWaiting();
  await nextTurn();
  const expected = `small second ${"l".repeat(9_000)}third opaque `;
  expect([await read(reader, expected.length), writes()]).toEqual([expected, 5]);
});

test("a message of 8 KiB waits, one that is longer does not", async () => {
  const { writer, writes } = await pair();
  const seen = [WAITING_BYTES_MAX, WAITING_BYTES_MAX + 1].map((bytes) => {
    gatherHead(writer, Buffer.alloc(bytes, "a"), false);
    writer.flush();
    return [writer.isWaiting, writes()];
  });
  expect(seen).toEqual([
    [true, 0],
    [false, 2],
  ]);
});

test("whether the head of a message still waits is told, whatever of it waits", async () => {
  const { writer } = await pair();
  const seen: boolean[] = [];
  gatherHead(writer, Buffer.from("HEAD "), false);
  seen.push(writer.isHeadWaiting);
  writer.flush();
  seen.push(writer.isHeadWaiting);
  writer.body(Buffer.from("body "));
  writer.flush();
  expect([...seen, writer.isHeadWaiting, writer.isWaiting]).toEqual([false, true, false, true]);
});

test("a message that might block its connection does not wait", async () => {
  const { writer, writes } = await pair(4_096);
  gatherHead(writer, Buffer.alloc(4_096, "a"), false);
  writer.flush();
  expect(writes()).toBe(1);
});

test("what a socket holds of a turn is not written over by the next turn", async () => {
  const [slow, quick] = [await pair(), await pair()];
  const sent: string[] = [];
  for (let i = 0; slow.waiting() === 0; i++) {
    const text = String.fromCharCode(97 + (i % 26)).repeat(7_000);
    gatherHead(slow.writer, Buffer.from(text), false);
    slow.writer.flush();
    sent.push(text);
    await nextTurn();
  }
  for (const letter of "0123456789") {
    gatherHead(quick.writer, Buffer.alloc(7_000, letter), false);
    quick.writer.flush();
  }
  await nextTurn();
  const expected = sent.join("");
  expect(await read(slow.reader, expected.length)).toBe(expected);
  const ofQuick = [..."0123456789"].map((letter) => letter.repeat(7_000)).join("");
  expect(await read(quick.reader, ofQuick.length)).toBe(ofQuick);
});
