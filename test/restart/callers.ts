import { setTimeout as wait } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { Connection } from "../harness/client.ts";
import { Dice } from "../harness/dice.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

/** Callers of each kind: enough that some are always in the middle of something. */
const EACH = 8;

/** What the callers of one test met. */
export class Book {
  /** Where they call. */
  port: number;
  answered = 0;
  /** Answers that said `Connection: close`. */
  told = 0;
  /** Long responses that were read to their end. */
  longReads = 0;
  isOver = false;
  /** Everything else: a refusal, a reset, an end that nobody was told of, another status. */
  readonly failed: string[] = [];

  constructor(port: number) {
    this.port = port;
  }
}

/** Callers that never send a request twice; they call until `stop`. */
export class Callers {
  readonly book: Book;
  readonly #running: Promise<void>[] = [];

  constructor(port: number) {
    this.book = new Book(port);
    for (let i = 0; i < EACH; i++) {
      this.#run(keepOneConnection(this.book, Dice.of(1, `busy ${i}`), 10));
      this.#run(keepOneConnection(this.book, Dice.of(1, `idle ${i}`), 1_500));
      this.#run(connectEachTime(this.book, Dice.of(1, `new ${i}`)));
    }
    this.#run(readLongResponses(this.book));
    onTestFinished(() => {
      this.book.isOver = true;
    });
  }

  /** Lets each finish what it is at; resolves with what failed. */
  async stop(): Promise<readonly string[]> {
    this.book.isOver = true;
    await Promise.all(this.#running);
    return this.book.failed;
  }

  #run(caller: Promise<void>): void {
    this.#running.push(caller.catch((error) => void this.book.failed.push(String(error))));
  }
}

/** Sends a request and reads its response; `200 close` where the caller is told to close. */
export async function ask(
  connection: Connection,
  bytes = GET,
  patienceMs?: number,
): Promise<string> {
  connection.write(bytes);
  const { status, fields } = await connection.response(false, patienceMs);
  return `${status} ${fields["connection"] ?? "keep-alive"}`;
}

/** Keeps a connection until it is told to close, and pauses up to `pauseMs` between requests. */
async function keepOneConnection(book: Book, dice: Dice, pauseMs: number): Promise<void> {
  let connection: Connection | null = null;
  while (!book.isOver) {
    connection ??= await Connection.open(book.port);
    const answer = await ask(connection, dice.oneIn(3) ? POST : GET).catch(String);
    if (answer === "200 close") {
      connection.close();
      connection = null;
      book.told++;
    } else if (answer !== "200 keep-alive") {
      book.failed.push(`kept (pauses up to ${pauseMs} ms): ${answer}`);
      return;
    }
    book.answered++;
    await wait(dice.below(pauseMs));
  }
  connection?.close();
}

async function connectEachTime(book: Book, dice: Dice): Promise<void> {
  while (!book.isOver) {
    const connection = await Connection.open(book.port);
    const answer = await ask(connection, dice.oneIn(3) ? POST : GET).catch(String);
    connection.close();
    if (!answer.startsWith("200 ")) book.failed.push(`new: ${answer}`);
    book.answered++;
    await wait(dice.below(10));
  }
}

/** The path that the baseline answers slowly, and how long its answer is. */
export const LONG_PATH = "/long";
export const LONG_BYTES = 40_000;

async function readLongResponses(book: Book): Promise<void> {
  while (!book.isOver) {
    const connection = await Connection.open(book.port);
    connection.write(`GET ${LONG_PATH} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const { status, body } = await connection.response();
    connection.close();
    if (status === 200 && body.length === LONG_BYTES) book.longReads++;
    else book.failed.push(`long: ${status}, ${body.length} bytes`);
    book.answered++;
  }
}
