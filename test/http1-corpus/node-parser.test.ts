import { createServer, type IncomingMessage, type Server } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { Connection } from "../harness/client.ts";
import { type Compared, differencesText, scoreOf } from "./differences.ts";
import type { Outcome } from "./outcome.ts";
import { bytesOf, type CorpusCase, readCorpus } from "./parse-corpus.ts";
import { readRequests, readResponses } from "./read-messages.ts";

/** The corpus against Node's own parser (llhttp): what it takes and we do not, and the reverse. */
const PATIENCE_MS = 5_000;

test("each difference from Node's parser is known, with the reason why ours is right", async () => {
  const seen: string[] = [];
  const port = await startNode(seen);
  const compared: Compared[] = [];
  for (const it of [...readCorpus("requests").values()].flat()) {
    if (isAboutParsing(it)) compared.push(await compare(port, it, seen));
  }
  expect(scoreOf(compared).cases).toBeGreaterThan(300);
  await expect(differencesText("node", compared)).toMatchFileSnapshot("differences/node.txt");
});

/** Tags, and what is broken off, are nothing that a parser decides. */
function isAboutParsing(it: CorpusCase): boolean {
  const isWhole = it.sent.every((step) => step.kind === "send" || step.kind === "pause");
  return isWhole && !it.name.startsWith("routing/");
}

async function compare(port: number, it: CorpusCase, seen: string[]): Promise<Compared> {
  seen.length = 0;
  const caller = await Connection.open(port);
  caller.socket.end(bytesOf(it.sent), "latin1");
  const deadlineMs = performance.now() + PATIENCE_MS;
  await caller.until(() => performance.now() > deadlineMs);
  const { messages } = readResponses(caller.text, [], true);
  caller.close();
  const theirs: Outcome = {
    messages: [...seen],
    statuses: messages.map((message) => message.status).filter((status) => status >= 200),
    unreadable: null,
    danger: null,
  };
  return { it, ours: oursAsRead(it), theirs };
}

/** Requests as an upstream of ours reads them. */
function oursAsRead(it: CorpusCase): Outcome {
  const { messages } = readRequests(it.forwarded);
  return {
    messages: messages.map(({ method, target, body }) => line(method, target, body)),
    statuses: it.answers.map((answer) => answer.status),
    unreadable: null,
    danger: null,
  };
}

function line(method: string, target: string, body: string): string {
  return JSON.stringify(`${method} ${target} | ${body}`).slice(0, 200);
}

async function startNode(seen: string[]): Promise<number> {
  const server: Server = createServer((request, response) => {
    const pieces: string[] = [];
    request.setEncoding("latin1");
    request.on("data", (piece: string) => pieces.push(piece));
    request.on("end", () => {
      seen.push(line(request.method ?? "", pathOf(request), pieces.join("") + trailersOf(request)));
      response.end();
    });
  });
  server.on("upgrade", (request, socket) => {
    seen.push(line(request.method ?? "", pathOf(request), ""));
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Node leaves the form of the target to the application. */
function pathOf(request: IncomingMessage): string {
  return request.url ?? "";
}

function trailersOf(request: IncomingMessage): string {
  const { rawTrailers } = request;
  let text = "";
  for (let i = 0; i < rawTrailers.length; i += 2) {
    text += `\n${rawTrailers[i]?.toLowerCase()}: ${rawTrailers[i + 1]}`;
  }
  return text;
}
