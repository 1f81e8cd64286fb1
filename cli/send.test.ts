import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ANSWER_BYTES_MAX, type OutgoingRequest, send } from "./send.ts";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

test("a request is sent as it is: method, doubled headers, body", async () => {
  const answer = await send({
    ...(await to((request, response) => {
      const body: Buffer[] = [];
      request.on("data", (piece: Buffer) => body.push(piece));
      request.on("end", () => {
        const { method, headersDistinct } = request;
        const seen = {
          method,
          baggage: headersDistinct["baggage"],
          body: String(Buffer.concat(body)),
        };
        response.writeHead(201, { "X-Seen": "yes" }).end(JSON.stringify(seen));
      });
    })),
    method: "POST",
    headers: [
      ["baggage", "a=b"],
      ["baggage", "sandbox=jane-42!"],
    ],
    body: "hello",
  });
  expect(answer).toMatchObject({ status: 201, headers: { "x-seen": "yes" }, isCut: false });
  expect(JSON.parse(answer.body)).toEqual({
    method: "POST",
    baggage: ["a=b", "sandbox=jane-42!"],
    body: "hello",
  });
});

test("an answer longer than the limit is cut, and says so", async () => {
  const answer = await send(
    await to((_request, response) => {
      response.end("x".repeat(ANSWER_BYTES_MAX + 1));
    }),
  );
  expect(answer.body).toHaveLength(ANSWER_BYTES_MAX);
  expect(answer.isCut).toBe(true);
});

test("an answer of exactly the limit is whole", async () => {
  const answer = await send(
    await to((_request, response) => {
      response.end("x".repeat(ANSWER_BYTES_MAX));
    }),
  );
  expect(answer.isCut).toBe(false);
});

test("a redirect is an answer, not followed", async () => {
  const answer = await send(
    await to((_request, response) => {
      response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
    }),
  );
  expect(answer.status).toBe(302);
});

test("no answer in time is a failure that says how long it waited", async () => {
  const silent = { ...(await to(() => {})), timeoutMs: 50 };
  await expect(send(silent)).rejects.toMatchObject({
    problem: { code: "request-failed", detail: expect.stringContaining("50 ms") },
  });
});

test("nobody there is a failure that names the address", async () => {
  const outgoing = await to(() => {});
  await new Promise((resolve) => server?.close(resolve));
  await expect(send(outgoing)).rejects.toMatchObject({
    exitCode: 1,
    problem: {
      code: "request-failed",
      detail: expect.stringContaining("connection refused"),
      fix: expect.stringContaining(outgoing.url.host),
    },
  });
});

async function to(listener: RequestListener): Promise<OutgoingRequest> {
  const created = createServer(listener);
  server = created;
  await new Promise<void>((resolve) => created.listen(0, "127.0.0.1", resolve));
  const { port } = created.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/`);
  return { method: "GET", url, headers: [], body: null, timeoutMs: 5_000 };
}
