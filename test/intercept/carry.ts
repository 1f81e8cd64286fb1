import { connect, createServer, type Server } from "node:net";

/** One end: a port on loopback, or a path in the file system, which all namespaces share. */
type End = number | string;

/**
 * Carries connections from one end to another, as an operator forwards a port.
 *
 * Control binds loopback only, and wants to be called by its name there; this is how hosts of their
 * own reach it. As a program: `node carry.ts FROM TO`.
 */
export async function carry(from: End, to: End): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ ...optionsOf(to), allowHalfOpen: true });
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(optionsOf(from), resolve));
  return server;
}

function optionsOf(end: End): { port: number; host: string } | { path: string } {
  return typeof end === "number" ? { port: end, host: "127.0.0.1" } : { path: end };
}

function readEnd(word = ""): End {
  return /^\d+$/.test(word) ? Number(word) : word;
}

if (import.meta.main) {
  const [from, to] = process.argv.slice(2);
  await carry(readEnd(from), readEnd(to));
  process.stdout.write("ready\n");
}
