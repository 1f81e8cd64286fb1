import type { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { listenRaw } from "./data-plane.ts";
import { Dice } from "./dice.ts";

/** A request that arrived, by its id (`GET /<id>`). */
export interface Arrival {
  readonly id: string;
  readonly upstream: string;
  readonly method: string;
  /** The value of `x-tag`, which says how the caller tagged the request. */
  readonly tag: string;
  /** Whether anything of ours is in the head. */
  readonly isMarked: boolean;
}

/** What an answer to `id` by `upstream` has to be, so that a caller can tell it from any other. */
export function bodyFor(seed: number, id: string, upstream: string): string {
  const dice = Dice.of(seed, `body ${id}`);
  const times = dice.oneIn(8) ? 5_000 : 1 + dice.below(40);
  return `<${id}@${upstream}>`.repeat(times);
}

/**
 * Starts a service that answers in every way that services do, chosen by seed and request id: whole,
 * in odd chunks, until the end of the connection, early, late, never, broken, or not at all.
 */
export async function startChaos(
  name: string,
  seed: number,
  onArrival: (arrival: Arrival) => void,
): Promise<string> {
  return await listenRaw((socket) => {
    let unread = "";
    let isBusy = false;
    const readOn = async (): Promise<void> => {
      if (isBusy) return;
      isBusy = true;
      for (let next = takeHead(unread); next !== null; next = takeHead(unread)) {
        const { head } = next;
        const id = /^[A-Z]+ \/([^ ]+) /.exec(head)?.[1] ?? "?";
        const method = head.slice(0, head.indexOf(" "));
        const tag = /^x-tag: (.*)\r$/m.exec(head)?.[1] ?? "?";
        onArrival({ id, method, upstream: name, tag, isMarked: /forklane/i.test(head) });
        const dice = Dice.of(seed, `${name} ${id}`);
        const isEarly = dice.oneIn(6);
        if (isEarly) await answer(socket, dice, bodyFor(seed, id, name));
        const rest = await takeBody(socket, head, () => unread.slice(next.head.length));
        if (rest === null) break;
        if (!isEarly) await answer(socket, dice, bodyFor(seed, id, name));
        unread = unread.slice(head.length + rest);
      }
      isBusy = false;
    };
    socket.on("data", (bytes) => {
      unread += bytes.toString("latin1");
      void readOn();
    });
    socket.on("end", () => void socket.end());
  });
}

function takeHead(text: string): { readonly head: string } | null {
  const end = text.indexOf("\r\n\r\n");
  return end < 0 ? null : { head: text.slice(0, end + 4) };
}

/** Waits for the body behind `head`; its length with framing, or null if it never comes. */
async function takeBody(socket: Socket, head: string, rest: () => string): Promise<number | null> {
  const isChunked = /^transfer-encoding:/im.test(head);
  const length = Number(/^content-length: *([0-9]+)/im.exec(head)?.[1] ?? 0);
  for (;;) {
    if (!isChunked && rest().length >= length) return length;
    const last = isChunked ? /(?:^|\r\n)0\r\n\r\n/.exec(rest()) : null;
    if (last !== null) return last.index + last[0].length;
    if (socket.destroyed || socket.readableEnded) return null;
    await wait(2);
  }
}

type Way = (socket: Socket, dice: Dice, body: string) => Promise<void> | void;

const sized = (body: string, fields = ""): string =>
  `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

const WAYS: readonly Way[] = [
  (socket, _dice, body) => void socket.write(sized(body)),
  (socket, dice, body) => writeInPieces(socket, dice, sized(body)),
  (socket, dice, body) => writeInPieces(socket, dice, chunked(dice, body)),
  (socket, _dice, body) =>
    void socket.write(`HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n${sized(body)}`),
  (socket, _dice, body) => void socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`),
  (socket, _dice, body) => void socket.end(`HTTP/1.0 200 OK\r\n\r\n${body}`),
  (socket, _dice, body) => void socket.write(sized(body, "Connection: close\r\n")),
  // Closes without having said so: the race with the next request.
  (socket, _dice, body) => void socket.end(sized(body)),
  (socket, _dice, body) => {
    socket.write(sized(body));
    setTimeout(() => socket.resetAndDestroy(), 5);
  },
  (socket, _dice, body) => void socket.write(`${sized(body)}HTTP/1.1 200 OK\r\n\r\nevil`),
];

/** Ways that are no answer; rarer than the others. */
const BROKEN_WAYS: readonly Way[] = [
  (socket) => void socket.resetAndDestroy(),
  (socket) => void socket.end(),
  (socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Le"),
  (socket) =>
    void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
  (socket) => void socket.write("nonsense\r\n\r\n"),
  (socket, dice, body) => void socket.end(sized(body).slice(0, -1 - dice.below(body.length))),
  (socket, dice, body) => {
    socket.write(sized(body).slice(0, -1 - dice.below(body.length)));
    setTimeout(() => socket.resetAndDestroy(), dice.below(20));
  },
  // Never, and never to the end.
  () => undefined,
  (socket, dice, body) => void socket.write(sized(body).slice(0, -1 - dice.below(body.length))),
];

async function answer(socket: Socket, dice: Dice, body: string): Promise<void> {
  if (dice.oneIn(4)) await wait(dice.below(20));
  const way = dice.oneIn(5) ? dice.pick(BROKEN_WAYS) : dice.pick(WAYS);
  if (!socket.destroyed) await way(socket, dice, body);
}

async function writeInPieces(socket: Socket, dice: Dice, text: string): Promise<void> {
  for (let at = 0; at < text.length && !socket.destroyed; ) {
    const next = at + 1 + dice.below(dice.oneIn(3) ? 20_000 : 50);
    socket.write(text.slice(at, next), "latin1");
    if (dice.oneIn(3)) await wait(1);
    // Small steps at the seams only.
    at = next > 400 && next < text.length - 400 ? Math.max(next, text.length - 400) : next;
    if (at > next) socket.write(text.slice(next, at), "latin1");
  }
}

function chunked(dice: Dice, body: string): string {
  let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (let at = 0; at < body.length; ) {
    const next = Math.min(body.length, at + 1 + dice.below(dice.oneIn(4) ? 3 : 9_000));
    text += `${(next - at).toString(16)}${dice.oneIn(5) ? ";x=y" : ""}\r\n${body.slice(at, next)}\r\n`;
    at = next;
  }
  return `${text}0\r\n${dice.oneIn(3) ? "X-Sum: 1\r\n" : ""}\r\n`;
}
