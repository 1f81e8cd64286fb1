import { expect, test } from "vitest";
import { Connection } from "../harness/client.ts";
import { type DataPlane, startDataPlane } from "../harness/data-plane.ts";
import { bytesOf, readCorpus } from "../http1-corpus/parse-corpus.ts";
import { readResponses } from "../http1-corpus/read-messages.ts";
import { ambiguousRequest } from "./ambiguous.ts";
import { type CountingServer, SERVERS, startServer } from "./servers.ts";

/** Our proxy in front of real servers: both ends count the same requests, whatever callers send. */
const SEED = 1;
const MADE_REQUESTS = 2_000;

/** Callers at a time: so that there is somebody whose answer could be taken. */
const CALLERS = 4;
const PATIENCE_MS = 5_000;

test.each(SERVERS)("$name and our proxy count the same requests", async (kind) => {
  const server = await startServer(kind);
  const plane = await startDataPlane({
    baseline: server.at,
    // What waits for more is given up soon.
    limits: { headTimeoutMs: 150, bodyIdleMs: 150 },
  });
  const sent = [...corpusRequests(), ...madeRequests()];
  const found: string[] = [];
  let next = 0;
  const call = async (): Promise<void> => {
    while (next < sent.length) {
      const id = next++;
      found.push(...(await wrongAnswers(plane.port, sent[id] ?? "", id)));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  await expect.poll(() => countedBy(server).length).toBe(countedBy(plane).length);
  expect(countedBy(server)).toEqual(countedBy(plane));
  expect(found).toEqual([]);
  const markers = server.seen.filter((line) => line.startsWith("GET /marker-"));
  expect(new Set(markers).size).toBe(markers.length);
  process.stdout.write(
    `${kind.name.padEnd(8)} requests sent ${sent.length}, forwarded and counted by both ${server.seen.length}, ` +
      `markers behind them answered ${markers.length}\n`,
  );
});

/** One target per case would hide nothing: what arrives is told apart by marker and by count. */
function corpusRequests(): string[] {
  return [...readCorpus("requests").values()]
    .flat()
    .filter((it) => !it.name.startsWith("routing/"))
    .map((it) => bytesOf(it.sent));
}

function madeRequests(): string[] {
  return Array.from({ length: MADE_REQUESTS }, (_, id) => ambiguousRequest(SEED, id));
}

/** Sends it with a marker right behind, and a caller of its own afterwards; says what came wrong. */
async function wrongAnswers(port: number, bytes: string, id: number): Promise<string[]> {
  const found: string[] = [];
  const text = await answersTo(port, `${bytes}${markerRequest(`marker-${id}`)}`);
  const markers = text.match(/GET \/marker-\d+/g) ?? [];
  if (markers.length > 1 || markers.some((marker) => marker !== `GET /marker-${id}`)) {
    found.push(`${JSON.stringify(bytes)}: its caller got ${markers.join(", ")}`);
  }
  if (/\/after-/.test(text))
    found.push(`${JSON.stringify(bytes)}: its caller got another's answer`);
  const after = await answersTo(port, markerRequest(`after-${id}`));
  const { messages } = readResponses(after, ["GET"], true);
  const bodies = messages.map(({ status, body }) => `${status} ${body.split(" ", 2).join(" ")}`);
  if (bodies.join() !== `200 GET /after-${id}`) {
    found.push(`${JSON.stringify(bytes)}: the next caller got ${bodies.join()}`);
  }
  return found;
}

function markerRequest(name: string): string {
  return `GET /${name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
}

async function answersTo(port: number, bytes: string): Promise<string> {
  const caller = await Connection.open(port);
  caller.write(bytes);
  const deadlineMs = performance.now() + PATIENCE_MS;
  await caller.until(() => performance.now() > deadlineMs);
  caller.close();
  return caller.text;
}

/** Requests by method and target, sorted: the proxy's answered 200 by the server, or the server's. */
function countedBy(end: CountingServer | DataPlane): string[] {
  const counted =
    "seen" in end
      ? end.seen.map((line) => line.split(" ", 2).join(" "))
      : end.recorded
          .filter(({ fault, status }) => fault === null && status === 200)
          .map(({ method, target }) => `${method} ${target}`);
  // Go answers OPTIONS * before its handlers can count it.
  return counted.filter((line) => line !== "OPTIONS *").sort();
}
