import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { HopBatch, HopRecord } from "../../core/hop-record.ts";
import type { ProxyStatus } from "../../core/proxy-status.ts";
import { encodeSse } from "../../core/sse.ts";
import { freePort } from "../../test/harness/free-port.ts";

/** A batch of hop records as it came in. */
export interface ReceivedBatch {
  readonly batch: HopBatch["batch"];
  readonly records: readonly HopRecord[];
}

/** One watch that was opened. */
export interface ReceivedWatch {
  readonly url: URL;
  readonly lastEventId: string | null;
  readonly authorization: string | null;
  readonly protocol: string | null;
  readonly response: ServerResponse;
}

/** A control at the other end of real sockets, for tests: it does what it is told. */
export class FakeControl {
  readonly watches: ReceivedWatch[] = [];
  readonly statuses: ProxyStatus[] = [];
  readonly batches: ReceivedBatch[] = [];
  /** POSTs, those that were refused included. */
  posts = 0;
  /** Answers to the next watches and POSTs; 200 and 204 where 0. */
  watchStatus = 0;
  postStatus = 0;
  /** To batches alone; as `postStatus` where 0. */
  hopsStatus = 0;
  protocol = "1";
  contentType = "text/event-stream";
  /** Told of each POST in place of an answer; null where they are answered. */
  onUnanswered: (() => void) | null = null;
  /** What each new watch is sent at once. */
  onWatch: (watch: ReceivedWatch) => void = () => {};
  readonly #server = http.createServer((request, response) => void this.#answer(request, response));
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get lastStatus(): ProxyStatus | undefined {
    return this.statuses.at(-1);
  }

  get records(): HopRecord[] {
    return this.batches.flatMap(({ records }) => records);
  }

  /** Listens, at the port that it had before if it did. */
  async start(): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Goes away as a killed process does: all connections are gone at once. */
  async kill(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** Sends an event on all open watches. */
  send(event: string, body: unknown, id?: string): void {
    const written = encodeSse(event, JSON.stringify(body), id);
    for (const { response } of this.watches) if (!response.writableEnded) response.write(written);
  }

  /** Sends a snapshot with these routes to one watch, or to all. */
  sendSnapshot(revision: string, body: object, watch?: ReceivedWatch): void {
    const event = encodeSse("snapshot", JSON.stringify({ revision, ...body }), revision);
    for (const { response } of watch === undefined ? this.watches : [watch]) response.write(event);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    if (url.pathname === "/v1/watch") return this.#openWatch(url, request, response);
    const body = await text(request);
    this.posts++;
    if (this.onUnanswered !== null) return this.onUnanswered();
    const isBatch = url.pathname === "/v1/hops";
    const status = (isBatch && this.hopsStatus) || this.postStatus || 204;
    if (status === 204 && isBatch) this.batches.push(parseBatch(body));
    else if (status === 204) this.statuses.push(JSON.parse(body) as ProxyStatus);
    response.writeHead(status).end();
  }

  #openWatch(url: URL, request: IncomingMessage, response: ServerResponse): void {
    if (this.watchStatus !== 0) {
      response.writeHead(this.watchStatus).end();
      return;
    }
    response.writeHead(200, {
      "content-type": this.contentType,
      "forklane-protocol": this.protocol,
    });
    response.flushHeaders();
    const header = (name: string) => request.headers[name]?.toString() ?? null;
    const watch = {
      url,
      lastEventId: header("last-event-id"),
      authorization: header("authorization"),
      protocol: header("forklane-protocol"),
      response,
    };
    this.watches.push(watch);
    this.onWatch(watch);
  }
}

function parseBatch(body: string): ReceivedBatch {
  const [head = "", ...lines] = body.split("\n").filter((line) => line !== "");
  const { batch } = JSON.parse(head) as HopBatch;
  return { batch, records: lines.map((line) => JSON.parse(line) as HopRecord) };
}
