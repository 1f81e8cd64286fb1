import { createServer, type Server } from "node:net";

/** A port of the loopback interface that nobody listens at, for those who cannot take port 0. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** The same, several: no two alike, since each is held until all are found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let i = 0; i < count; i++) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
  }
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()));
  return ports;
}
