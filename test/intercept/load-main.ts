/**
 * Load that can be judged: `node load-main.ts URL WORKERS`. Each worker has one connection at a time
 * and asks again and again, with a key, without one, and strictly with a key that nobody has.
 *
 * Writes a line for each request: `BEGAN ENDED KIND OUTCOME`, times in microseconds of the machine's
 * monotonic clock, which all processes share. Ends when it is told to, or after too many.
 */
import { Agent, request } from "node:http";

const [url = "", workers = "1"] = process.argv.slice(2);

const KINDS = {
  untagged: {},
  tagged: { baggage: "sandbox=jane-42" },
  unknown: { baggage: "sandbox=nobodys!" },
} as const;
type Kind = keyof typeof KINDS;
const KIND_NAMES = Object.keys(KINDS) as Kind[];

const REQUESTS_MAX = 100_000;
/** After a failure: a refused connection takes no time at all. */
const PAUSE_MS = 5;

let requests = 0;
let isStopped = false;
process.once("SIGTERM", () => {
  isStopped = true;
});

await Promise.all(Array.from({ length: Number(workers) }, (_, i) => work(i)));
process.stdout.write("end\n");

async function work(first: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = first; !isStopped && requests < REQUESTS_MAX; i++) {
    requests++;
    const kind = KIND_NAMES[i % KIND_NAMES.length] ?? "untagged";
    const began = process.hrtime.bigint() / 1000n;
    const outcome = await ask(agent, kind);
    process.stdout.write(`${began} ${process.hrtime.bigint() / 1000n} ${kind} ${outcome}\n`);
    if (!/^\d/.test(outcome)) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  agent.destroy();
}

/** `STATUS NAME FORWARDED-FOR` of a whole answer; `refused`, or `cut CODE`, where there was none. */
function ask(agent: Agent, kind: Kind): Promise<string> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      resolve(error.code === "ECONNREFUSED" ? "refused" : `cut ${error.code ?? error.message}`);
    const outgoing = request(url, { agent, headers: KINDS[kind] }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (body += piece));
      response.on("error", fail);
      response.on("end", () => resolve(describe(response.statusCode ?? 0, body)));
    });
    outgoing.on("error", fail);
    outgoing.end();
  });
}

function describe(status: number, body: string): string {
  if (!body.startsWith('{"name"')) return String(status);
  const { name, forwardedFor } = JSON.parse(body);
  return `${status} ${name} ${forwardedFor}`;
}
