import { createServer, connect as netConnect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "../bench-error.ts";

const POLL_MS = 20;

/** Asks the kernel for a port of 127.0.0.1 that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new BenchError("no free port");
  return address.port;
}

/** Waits until something accepts on the port; `why` is asked for the reason if nothing does. */
export async function waitForPort(
  port: number,
  deadlineMs: number,
  why: () => string | null,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (performance.now() < end) {
    if (await accepts(port)) return;
    const reason = why();
    if (reason !== null) throw new BenchError(reason);
    await sleep(POLL_MS);
  }
  throw new BenchError(`nothing accepts on 127.0.0.1:${port} after ${deadlineMs} ms`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = netConnect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
