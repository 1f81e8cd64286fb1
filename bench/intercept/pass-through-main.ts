/**
 * The least that a process in the way can do: `node pass-through-main.ts PORT HOST:PORT` hands bytes
 * on both ways and looks at none. What it costs is what no proxy of ours can go below.
 */
import { connect, createServer } from "node:net";

const [port = "", target = ""] = process.argv.slice(2);
const colon = target.lastIndexOf(":");
const options = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };

createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const far = connect({ ...options, noDelay: true, allowHalfOpen: true });
  near.pipe(far).pipe(near);
  near.on("error", () => far.destroy());
  far.on("error", () => near.destroy());
}).listen(Number(port), "0.0.0.0");
