import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/**
 * Ports that no system gives out by itself (RFC 6335: from 49152, Linux from 32768): one that was
 * chosen a moment ago is still free, whatever other tests open meanwhile.
 */
const CHOSEN_MIN = 20_000;
const CHOSEN_MAX = 32_000;

/** A port of the loopback interface that nobody listens at, for those who cannot take port 0. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** The same, several: no two alike, since each is held until all are found. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = randomInt(CHOSEN_MIN, CHOSEN_MAX);
    const server = await hold(port);
    if (server !== null) held.set(port, server);
  }
  for (const server of held.values()) {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  return [...held.keys()];
}

/** Null where somebody has it. */
function hold(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(server));
  });
}
