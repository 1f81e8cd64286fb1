import { connect } from "node:net";
import { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";

/** Listens, and never runs again: the kernel's queue of connections fills, and nobody empties it. */
const DEAF = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer();
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    const port = server.address().port;
    parentPort.postMessage(port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Connections that a full queue may still take, by a wide margin. */
const QUEUE_MAX = 8;

/** An address where connections are neither accepted nor refused; it stops with the test. */
export async function startDeafUpstream(): Promise<string> {
  const worker = new Worker(DEAF, { eval: true });
  const port = await new Promise<number>((resolve) => worker.once("message", resolve));
  const fillers = Array.from({ length: QUEUE_MAX }, () => connect(port, "127.0.0.1"));
  for (const socket of fillers) socket.on("error", () => undefined);
  onTestFinished(async () => {
    for (const socket of fillers) socket.destroy();
    await worker.terminate();
  });
  // Those that fit are connected by now; the others go on asking, as the proxy will.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return `127.0.0.1:${port}`;
}
