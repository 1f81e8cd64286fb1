import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** One caller of many: what it was answered, and whether it is still there. */
export interface Caller {
  readonly socket: Socket;
  /** Status of the first response; 0 for none. */
  status: number;
  receivedBytes: number;
  isClosed: boolean;
}

/** Many callers at once; they leave with the test. */
export class Crowd {
  readonly callers: readonly Caller[];

  private constructor(callers: readonly Caller[]) {
    this.callers = callers;
  }

  /** Connects `count` callers, a hundred at a time; those who are not let in are closed. */
  static async connect(port: number, count: number): Promise<Crowd> {
    const callers: Caller[] = [];
    onTestFinished(() => {
      for (const { socket } of callers) socket.destroy();
    });
    while (callers.length < count) {
      const some = Array.from({ length: Math.min(100, count - callers.length) }, () =>
        connectOne(port),
      );
      callers.push(...(await Promise.all(some)));
    }
    return new Crowd(callers);
  }

  /** Callers that are still connected. */
  get open(): number {
    return this.callers.filter(({ isClosed }) => !isClosed).length;
  }

  get receivedBytes(): number {
    return this.callers.reduce((sum, caller) => sum + caller.receivedBytes, 0);
  }

  /** How many were answered with this status, 0 for those who were not. */
  answered(status: number): number {
    return this.callers.filter((caller) => caller.status === status).length;
  }

  /** All who are still there send this. */
  write(bytes: string | Buffer): void {
    for (const { socket, isClosed } of this.callers) if (!isClosed) socket.write(bytes, "latin1");
  }

  /** All send this again and again, a piece every `everyMs`, until they are closed or stopped. */
  drip(piece: string, everyMs: number): () => void {
    const timer = setInterval(() => this.write(piece), everyMs);
    onTestFinished(() => clearInterval(timer));
    return () => clearInterval(timer);
  }

  /** All send this as fast as the proxy takes it, `times` at most. */
  flood(piece: Buffer, times: number): void {
    for (const caller of this.callers) floodOne(caller, piece, times);
  }

  /** They read nothing from now on. */
  stopReading(): void {
    for (const { socket } of this.callers) socket.pause();
  }

  close(): void {
    for (const { socket } of this.callers) socket.destroy();
  }
}

function connectOne(port: number): Promise<Caller> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: false });
  const caller: Caller = { socket, status: 0, receivedBytes: 0, isClosed: false };
  return new Promise((resolve) => {
    socket.on("connect", () => resolve(caller));
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      if (caller.receivedBytes === 0) caller.status = Number(bytes.toString("latin1", 9, 12));
      caller.receivedBytes += bytes.length;
    });
    socket.on("close", () => {
      caller.isClosed = true;
      resolve(caller);
    });
  });
}

function floodOne({ socket }: Caller, piece: Buffer, times: number): void {
  let left = times;
  const go = (): void => {
    while (left-- > 0 && !socket.destroyed) if (!socket.write(piece)) return;
  };
  socket.on("drain", go);
  go();
}
