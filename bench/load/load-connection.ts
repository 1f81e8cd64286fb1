import { connect, type Socket } from "node:net";
import { BenchError } from "../bench-error.ts";

const HEAD_END = Buffer.from("\r\n\r\n");
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

/** A keep-alive connection that carries one exchange at a time; only for answers with a length. */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #onAnswer: (connection: LoadConnection) => void;
  #received: Buffer = Buffer.alloc(0);
  #dueMs = 0;
  #isBusy = false;

  private constructor(
    socket: Socket,
    request: Buffer,
    onAnswer: (connection: LoadConnection) => void,
    onFailure: (error: Error) => void,
  ) {
    this.#socket = socket;
    this.#request = request;
    this.#onAnswer = onAnswer;
    socket.on("data", (bytes: Buffer) => {
      try {
        this.#read(bytes);
      } catch (error) {
        onFailure(error as Error);
      }
    });
    socket.on("error", onFailure);
    socket.on("close", () => onFailure(new BenchError("a connection was closed under load")));
  }

  /** Connects; `onAnswer` is called once for each request, `onFailure` ends the run. */
  static async open(
    { host = "127.0.0.1", port }: { readonly host?: string; readonly port: number },
    request: Buffer,
    onAnswer: (connection: LoadConnection) => void,
    onFailure: (error: Error) => void,
  ): Promise<LoadConnection> {
    const socket = connect({ port, host, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new LoadConnection(socket, request, onAnswer, onFailure);
  }

  /** When the request in progress was due, in milliseconds of performance.now(). */
  get dueMs(): number {
    return this.#dueMs;
  }

  send(dueMs: number): void {
    this.#dueMs = dueMs;
    this.#isBusy = true;
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    const length = answerLength(this.#received);
    if (length === null || this.#received.length < length) return;
    if (!this.#isBusy || this.#received.length > length) {
      throw new BenchError("more bytes came than the answer has");
    }
    this.#received = Buffer.alloc(0);
    this.#isBusy = false;
    this.#onAnswer(this);
  }
}

/** Bytes of the answer that `bytes` begin with; null while the head is not whole. */
export function answerLength(bytes: Buffer): number | null {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return null;
  const head = bytes.toString("latin1", 0, end);
  if (!head.startsWith("HTTP/1.1 200")) {
    throw new BenchError(`answered ${head.split("\r\n", 1)[0]}`);
  }
  const length = CONTENT_LENGTH.exec(head)?.[1];
  if (length === undefined) throw new BenchError("an answer has no content-length");
  return end + HEAD_END.length + Number(length);
}
