/**
 * Callers as they are: `node talk-main.ts HOST PORT CONNECTIONS` keeps connections, asks on each again
 * and again by POST, and thinks in between. Writes `talking` once all are in use; at SIGTERM it ends
 * after the requests under way and writes how many there were, and how many got no answer.
 */
import { Agent, request } from "node:http";

const [host = "", port = "", connections = ""] = process.argv.slice(2);

/** Between two requests of a connection, at most, in milliseconds. */
const THINK_MS_MAX = 100;
const SEED = 7;

let requests = 0;
let failed = 0;
let isStopped = false;
let random = SEED;
process.once("SIGTERM", () => {
  isStopped = true;
});

const count = Number(connections);
const first = Promise.withResolvers<void>();
const talks = Array.from({ length: count }, () => talk());
await first.promise;
process.stdout.write("talking\n");
await Promise.all(talks);
process.stdout.write(`${JSON.stringify({ requests, failed })}\n`);

async function talk(): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!isStopped) {
    const isAnswered = await ask(agent);
    requests++;
    if (requests === count) first.resolve();
    if (!isAnswered) failed++;
    await new Promise((resolve) => setTimeout(resolve, THINK_MS_MAX * chance()));
  }
  agent.destroy();
}

function ask(agent: Agent): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request({ host, port, agent, method: "POST", path: "/" }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.complete));
      response.on("error", () => resolve(false));
    });
    outgoing.on("error", () => resolve(false));
    outgoing.end("x");
  });
}

/** The generator of Park and Miller: the same in every run. */
function chance(): number {
  random = (random * 48_271) % 2_147_483_647;
  return random / 2_147_483_647;
}
