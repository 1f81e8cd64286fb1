/** Plays one case through a proxy, and looks at it from both ends. */
import { Connection } from "../harness/client.ts";
import { bytesOf, type CorpusCase } from "./parse-corpus.ts";
import { type Read, type ReadResponse, readRequests, readResponses } from "./read-messages.ts";
import { PROBE, type RecordingUpstream } from "./recording-upstream.ts";
import { takeSteps } from "./take-steps.ts";

/** A proxy, and the upstream that it forwards to. */
export interface Lane {
  readonly port: number;
  readonly upstream: RecordingUpstream;
}

export interface Observed {
  /** All that the caller received, byte for byte, without the answer to the marker. */
  readonly received: string;
  readonly responses: Read<ReadResponse>;
  readonly closed: Connection["closed"];
  /** All that the upstream received of the case. */
  readonly forwarded: string;
  /** Requests of the case that the upstream read. */
  readonly arrivals: readonly string[];
  /** What became of a plain request behind the case on the same connection. */
  readonly marker: "answered" | "unanswered" | "not sent";
  /** A caller on another connection got its own answer, afterwards. */
  readonly isNextUnharmed: boolean;
  /** The next request went over the upstream connection of the case. */
  readonly isKept: boolean;
}

/** How a case is followed. */
export interface Play {
  /** `behind`: at once, with the case; `after`: once it is answered, if the connection is open. */
  readonly marker: "behind" | "after";
  /** How long to wait for what may not come, in milliseconds. */
  readonly patienceMs: number;
}

let lastId = 0;

/** Plays `it`; only one case may be under way in a lane. */
export async function runCase(lane: Lane, it: CorpusCase, play: Play): Promise<Observed> {
  const id = ++lastId;
  const { upstream } = lane;
  upstream.begin(it.reply);
  const caller = await Connection.open(lane.port);
  const methods = [...methodsOf(it), "GET"];
  const finals = () =>
    readResponses(caller.text, methods, false).messages.filter(isFinalAndWhole).length;
  const marker = `GET /marker-${id} HTTP/1.1\r\nHost: marker\r\nConnection: close\r\n\r\n`;
  const isTunnel = it.answers.at(-1)?.status === 101;
  let isMarked = play.marker === "behind" && !isTunnel;
  await takeSteps(caller.socket, [
    ...it.sent,
    ...(isMarked ? [{ kind: "send" as const, bytes: marker }] : []),
  ]);
  if (!isMarked) await until(caller, play, () => finals() >= it.answers.length);
  if (play.marker === "after" && !it.isClosed && !isTunnel) {
    isMarked = true;
    caller.write(marker);
  }
  if (!isTunnel) await until(caller, play, () => false);
  const isNextUnharmed = await isAnswered(lane.port, `/after-${id}`, play);
  const { received, responses, isMarkerAnswered } = sortReceived(caller, methods, id);
  const { closed } = caller;
  caller.close();
  const arrivals = upstream.arrivals.filter((arrival) => !PROBE.test(arrival.name));
  const connection = arrivals.at(-1)?.connection;
  const next = upstream.arrivals.find((arrival) => PROBE.test(arrival.name));
  return {
    received,
    responses,
    closed,
    forwarded: arrivals.map((arrival) => arrival.bytes).join("") + upstream.rest,
    arrivals: arrivals.map((arrival) => arrival.bytes),
    marker: markerOutcome(isMarked, isMarkerAnswered),
    isNextUnharmed,
    isKept: next !== undefined && next.connection === connection,
  };
}

function markerOutcome(isMarked: boolean, isAnswered: boolean): Observed["marker"] {
  if (!isMarked) return "not sent";
  return isAnswered ? "answered" : "unanswered";
}

function isFinalAndWhole(response: ReadResponse): boolean {
  return response.isWhole && (response.status >= 200 || response.status === 101);
}

/** The methods of the requests that a case sends, as far as they can be told. */
function methodsOf(it: CorpusCase): string[] {
  const read = readRequests(it.forwarded).messages.map((message) => message.method);
  return read.length > 0 ? read : [bytesOf(it.sent).split(" ")[0] ?? ""];
}

/** Waits until something holds, the connection is closed, or patience is over. */
async function until(caller: Connection, play: Play, isThere: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + play.patienceMs;
  await caller.until(() => isThere() || performance.now() > deadlineMs);
}

async function isAnswered(port: number, path: string, play: Play): Promise<boolean> {
  const caller = await Connection.open(port);
  caller.write(`GET ${path} HTTP/1.1\r\nHost: after\r\nConnection: close\r\n\r\n`);
  await until(caller, play, () => false);
  const { messages, rest } = readResponses(caller.text, ["GET"], caller.closed === "ended");
  caller.close();
  return rest === "" && messages.length === 1 && messages[0]?.body === `GET ${path}`;
}

/** Tells the answer to the marker from those to the case. */
function sortReceived(caller: Connection, methods: readonly string[], id: number) {
  const text = caller.text;
  const at = text.indexOf(`GET /marker-${id}`);
  const start = at < 0 ? -1 : text.lastIndexOf("HTTP/1.1 200", at);
  const isMarkerAnswered = start >= 0 && text.slice(at) === `GET /marker-${id}`;
  const received = isMarkerAnswered ? text.slice(0, start) : text;
  const responses = readResponses(received, methods, caller.closed === "ended");
  return { received, responses, isMarkerAnswered };
}
