import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { FLOW, type Flow } from "../message/stream.ts";
import { AcceptedSocket, acceptInPlace } from "./accept-in-place.ts";

const OPTIONS = { allowHalfOpen: true, highWaterMark: 1024, readBufferBytes: 64 * 1024 };
const opened: { destroy(): void }[] = [];
const servers: Server[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) one.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Without it the proxy works, and costs more: nobody would notice but the benchmark. */
test("it is in place on the Node that the suites run on", async () => {
  const server = await listening();
  expect(acceptInPlace(server, OPTIONS)).toBe(true);
});

test("on a Node that it was not tested with, the server's own sockets are used", async () => {
  const server = await listening();
  expect(acceptInPlace(server, OPTIONS, "99.0.0")).toBe(false);
  const { caller, accepted } = await pairOf(server);
  caller.end("hello");
  expect(await text(accepted)).toBe("hello");
});

test("a server that does not listen is left as it is", () => {
  expect(acceptInPlace(createServer(), OPTIONS)).toBe(false);
});

test("what a connection read stays as it is while others read", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const pairs = [await pairOf(server), await pairOf(server), await pairOf(server)];
  const reads = pairs.map(({ accepted }) => {
    const all: Buffer[] = [];
    accepted.on("data", (bytes: Buffer) => all.push(bytes));
    return all;
  });
  const sent = pairs.map((_, i) => Buffer.alloc(300_000, 97 + i));
  for (const [i, { caller }] of pairs.entries()) caller.end(sent[i] ?? "");
  await Promise.all(pairs.map(({ accepted }) => once(accepted, "end")));
  for (const [i, read] of reads.entries())
    expect(Buffer.concat(read).equals(sent[i] as Buffer)).toBe(true);
});

test("a paused connection reads nothing, and everything later", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const { caller, accepted } = await pairOf(server);
  let bytes = 0;
  accepted.on("data", (read: Buffer) => {
    bytes += read.length;
    accepted.pause();
  });
  const total = 64 * 1024 * 1024;
  caller.end(Buffer.alloc(total));
  await once(accepted, "pause");
  // The caller's other connection goes through the same loop, so reads had their chance.
  const other = await pairOf(server);
  other.accepted.on("data", () => other.accepted.end("seen"));
  other.caller.write("x");
  expect(await text(other.caller)).toBe("seen");
  expect(bytes).toBeLessThanOrEqual(64 * 1024);
  accepted.removeAllListeners("data");
  accepted.on("data", (read: Buffer) => {
    bytes += read.length;
  });
  accepted.resume();
  await once(accepted, "end");
  expect(bytes).toBe(total);
});

test("while reads fill the buffer they are lent to who takes them so, without another buffer", async () => {
  const { lent, copied, total } = await lentOf((bytes) => (bytes === 0 ? FLOW.HELD : FLOW.FLUSHED));
  expect(lent.length).toBeGreaterThan(10);
  expect(copied + lent.reduce((sum, { length }) => sum + length, 0)).toBe(total);
  // The first was held: that buffer is given up.
  expect(new Set(lent.map(({ buffer }) => buffer)).size).toBe(2);
});

test("a buffer that somebody holds is not read into again", async () => {
  const { lent } = await lentOf(() => FLOW.HELD);
  expect(lent.length).toBeGreaterThan(1);
  expect(new Set(lent.map(({ buffer }) => buffer)).size).toBe(lent.length);
  for (const bytes of lent) expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
});

test("nothing is lent to who does not take it, and nothing of a small read", async () => {
  expect((await lentOf(() => FLOW.FLUSHED, false)).lent).toEqual([]);
  expect((await lentOf(() => FLOW.FLUSHED, true, 100)).lent).toEqual([]);
});

test("who takes no more lent has no buffer of its own, also while nothing comes", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const buffers: ArrayBufferLike[] = [];
  for (const _ of [1, 2]) {
    const { caller, accepted } = await pairOf(server);
    accepted.on("data", () => undefined);
    if (!(accepted instanceof AcceptedSocket)) throw new Error("it is not in place");
    let isOver = false;
    accepted.lendTo({
      roomFor: () => null,
      get takesLent() {
        return !isOver;
      },
      onLent: ({ buffer, length }) => {
        isOver = length === OPTIONS.readBufferBytes;
        if (isOver) accepted.pause();
        if (isOver) buffers.push(buffer);
        return FLOW.FLUSHED;
      },
    });
    caller.write(Buffer.alloc(64 * OPTIONS.readBufferBytes));
    await once(accepted, "pause");
  }
  expect(buffers[1]).toBe(buffers[0]);
});

test("of the buffers that nobody reads into any more four are kept", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  /** Buffers that five connections read into at a time, each one of its own, until they stop. */
  const buffersOfFive = async () => {
    const buffers: ArrayBufferLike[] = [];
    const sockets: Socket[] = [];
    let isOver = false;
    for (const _ of [1, 2, 3, 4, 5]) {
      const { caller, accepted } = await pairOf(server);
      accepted.on("data", () => undefined);
      if (!(accepted instanceof AcceptedSocket)) throw new Error("it is not in place");
      accepted.lendTo({
        roomFor: () => null,
        get takesLent() {
          return !isOver;
        },
        onLent: ({ buffer, length }) => {
          const isFull = length === OPTIONS.readBufferBytes;
          if (isFull) accepted.pause();
          if (isFull) buffers.push(buffer);
          return FLOW.FLUSHED;
        },
      });
      caller.write(Buffer.alloc(64 * OPTIONS.readBufferBytes));
      await once(accepted, "pause");
      sockets.push(accepted);
    }
    isOver = true;
    for (const socket of sockets) await once(socket.resume(), "data");
    return buffers;
  };
  const first = new Set(await buffersOfFive());
  const again = new Set(await buffersOfFive());
  expect([first.size, again.size, first.intersection(again).size]).toEqual([5, 5, 4]);
});

test("each direction ends for itself", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const { caller, accepted } = await pairOf(server);
  accepted.on("data", () => undefined);
  caller.end("question");
  await once(accepted, "end");
  accepted.end("answer");
  expect(await text(caller)).toBe("answer");
});

test("a connection that is reset says so, and the server goes on", async () => {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const { caller, accepted } = await pairOf(server);
  accepted.on("data", () => undefined);
  const failed = once(accepted, "error");
  caller.resetAndDestroy();
  expect(await failed).toMatchObject([{ code: "ECONNRESET" }]);
  await pairOf(server);
});

/** What a connection lends that is sent 64 times `pieceBytes`. */
async function lentOf(
  flowOf: (lentBefore: number) => Flow,
  takesLent = true,
  pieceBytes = OPTIONS.readBufferBytes,
): Promise<{ lent: Buffer[]; copied: number; total: number }> {
  const server = await listening();
  acceptInPlace(server, OPTIONS);
  const { caller, accepted } = await pairOf(server);
  const lent: Buffer[] = [];
  let copied = 0;
  accepted.on("data", (bytes: Buffer) => {
    copied += bytes.length;
  });
  if (!(accepted instanceof AcceptedSocket)) throw new Error("it is not in place");
  accepted.lendTo({
    roomFor: () => null,
    takesLent,
    onLent: (bytes) => {
      const flow = flowOf(lent.length);
      // Only what is held stays as it is.
      lent.push(flow === FLOW.FLUSHED ? bytes : bytes.fill(lent.length));
      return flow;
    },
  });
  const total = 64 * pieceBytes;
  // The kernel takes far more at once than one read brings.
  caller.end(Buffer.alloc(total));
  await once(accepted, "end");
  return { lent, copied, total };
}

async function listening(): Promise<Server> {
  const server = createServer({ ...OPTIONS, noDelay: true });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function pairOf(server: Server): Promise<{ caller: Socket; accepted: Socket }> {
  const connection = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const caller = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [accepted] = (await connection) as [Socket];
  opened.push(caller, accepted);
  return { caller, accepted };
}
