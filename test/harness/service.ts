import http from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A service that calls others, and carries baggage along: nothing else, no trace headers. */
export interface Service {
  readonly at: string;
  /** How many requests it served. */
  readonly served: number;
}

/** What a service is asked for and answers: who it is, and its callees' answers. */
export interface ServiceAnswer {
  readonly name: string;
  readonly calls: readonly ServiceAnswer[];
}

/** Starts a service that calls `callees` (`host:port`), all at once; it stops with the test. */
export async function startService(
  name: string,
  callees: readonly string[] = [],
): Promise<Service> {
  let served = 0;
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    served++;
    const baggage = request.headers["baggage"];
    Promise.all(callees.map((at) => call(agent, at, request.url ?? "/", baggage))).then(
      (calls) => response.end(JSON.stringify({ name, calls })),
      (error: unknown) => {
        response.statusCode = 502;
        response.end(String(error));
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    at: `127.0.0.1:${port}`,
    get served() {
      return served;
    },
  };
}

async function call(
  agent: http.Agent,
  at: string,
  path: string,
  baggage: string | string[] | undefined,
): Promise<ServiceAnswer> {
  const headers = baggage === undefined ? {} : { baggage };
  return await new Promise((resolve, reject) => {
    const request = http.get(`http://${at}${path}`, { agent, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text) as ServiceAnswer);
        else reject(new Error(`${at} answered ${response.statusCode}: ${text}`));
      });
    });
    request.on("error", reject);
  });
}
