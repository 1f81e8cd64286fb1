/** What a recipient made of a case, in words that compare from one proxy to another. */
import { visible } from "./complaints.ts";
import { bytesOf, type CorpusCase } from "./parse-corpus.ts";
import {
  type Field,
  type Read,
  type ReadRequest,
  type ReadResponse,
  readRequests,
  readResponses,
} from "./read-messages.ts";
import type { Observed } from "./run-case.ts";

export interface Outcome {
  /** Whole requests at the upstream, or responses at the caller: one line each. */
  readonly messages: readonly string[];
  /** Statuses that the caller got; empty if the connection was closed, or nothing came. */
  readonly statuses: readonly number[];
  /** What was passed on and no strict recipient can read; null if all can be read. */
  readonly unreadable: string | null;
  /** What makes it an ambiguity let through: one end counts otherwise than the other. */
  readonly danger: string | null;
}

/** Tells whether two recipients made the same of a case; a refusal is one whatever its status. */
export function agrees(ours: Outcome, theirs: Outcome): boolean {
  const isSame = ours.messages.join("\n") === theirs.messages.join("\n");
  return isSame && theirs.unreadable === null && theirs.danger === null;
}

/** What our proxy does with a case of requests, which ours.test.ts has made sure of. */
export function ourRequests(it: CorpusCase): Outcome {
  return {
    messages: readRequests(it.forwarded).messages.map(requestLine),
    statuses: it.answers.map((answer) => answer.status),
    unreadable: null,
    danger: null,
  };
}

/** What another proxy did with a case of requests. */
export function theirRequests(it: CorpusCase, seen: Observed): Outcome {
  const read = readRequests(seen.arrivals.join(""));
  return {
    messages: read.messages.map(requestLine),
    statuses: steadyStatuses(it, finalStatuses(seen.responses)),
    unreadable: read.rest === "" ? null : steady(read.rest),
    danger: requestDanger(seen, read),
  };
}

/** What our proxy makes of a response. */
export function ourResponses(it: CorpusCase): Outcome {
  const isFault = it.answers.some((answer) => answer.fault !== null);
  const methods = [bytesOf(it.sent).split(" ")[0] ?? ""];
  const read = readResponses(it.received ?? "", methods, it.isClosed && !it.isCut);
  return {
    messages: isFault ? ["refused"] : read.messages.map(responseLine),
    statuses: it.answers.map((answer) => answer.status),
    unreadable: null,
    danger: null,
  };
}

/** What another proxy made of it. `ours` says whether it was to be refused. */
export function theirResponses(it: CorpusCase, seen: Observed): Outcome {
  const { responses } = seen;
  const statuses = finalStatuses(responses);
  const isTunnel = it.answers.at(-1)?.status === 101;
  const isRefused = statuses.every((status) => status >= 500) && it.answers[0]?.status !== 599;
  return {
    messages: isRefused ? ["refused"] : responses.messages.map(responseLine),
    statuses,
    unreadable: responses.rest === "" || isTunnel ? null : steady(responses.rest),
    danger: responseDanger(it, seen),
  };
}

/** Says an outcome in one line. */
export function inWords({ messages, statuses, unreadable, danger }: Outcome): string {
  return [
    statuses.length === 0 ? "refused" : statuses.join(", "),
    ...messages.filter((line) => line !== "refused"),
    ...(unreadable === null ? [] : [`UNREADABLE: ${unreadable}`]),
    ...(danger === null ? [] : [`DANGEROUS: ${danger}`]),
  ].join("; ");
}

function finalStatuses(read: Read<ReadResponse>): number[] {
  return read.messages.map(({ status }) => status).filter((status) => status >= 200);
}

/** Whoever closes on unread bytes may lose its answer: after a large request it is sometimes there. */
function steadyStatuses(it: CorpusCase, statuses: number[]): number[] {
  const isRefusal = statuses.every((status) => status >= 400);
  return isRefusal && bytesOf(it.sent).length > LARGE_BYTES ? [] : statuses;
}

const LARGE_BYTES = 8 * 1024;

/** Without what is another each time. */
function steady(bytes: string): string {
  return visible(bytes.replaceAll(/^(date|x-request-id|x-envoy-[a-z-]+): [^\r\n]*/gim, "$1: *"));
}

function requestDanger(seen: Observed, read: Read<ReadRequest>): string | null {
  if (read.rest === "" && read.messages.length !== seen.arrivals.length) {
    return `${seen.arrivals.length} requests if read leniently, ${read.messages.length} strictly`;
  }
  const isHiddenOneOut = seen.arrivals.some((bytes) => bytes.split(" ", 2)[1] === "/smuggled");
  if (isHiddenOneOut) return "the hidden request got through";
  const isMarkerInside = seen.arrivals.some((bytes) => bytes.includes("GET /marker-"));
  if (isMarkerInside) return "the next request became content";
  return seen.isNextUnharmed ? null : "another caller did not get its own answer";
}

function responseDanger(it: CorpusCase, seen: Observed): string | null {
  const breaksOff =
    it.isCut && it.reply?.some((step) => step.kind !== "send" && step.kind !== "pause");
  const looksWhole = seen.responses.messages.some(
    (one) => one.isWhole && one.status === it.answers[0]?.status,
  );
  if (breaksOff === true && looksWhole) return "what is cut off looks whole";
  if (seen.responses.messages.some((one) => one.body === "evil"))
    return "the unasked answer got through";
  return seen.isNextUnharmed ? null : "another caller did not get its own answer";
}

function requestLine({ method, target, fields, body }: ReadRequest): string {
  const content = body === "" ? "" : ` | ${body.replace(/marker-\d.*$/s, "marker-*")}`;
  return visible(`${method} ${target} ${fieldText(fields)}${content}`);
}

function responseLine({ status, fields, body, isWhole }: ReadResponse): string {
  const end = isWhole ? "" : " (cut off)";
  return visible(`${status} ${fieldText(fields)}${body === "" ? "" : ` | ${body}`}`) + end;
}

/** Fields by name, those of one name in their order; without those that each proxy writes itself. */
function fieldText(fields: readonly Field[]): string {
  return fields
    .filter(([name]) => !OWN_FIELDS.has(name))
    .map(
      ([name, value]) => `${name}: ${name === "host" ? value.replace(/^127.*|^\*$/, "*") : value}`,
    )
    .map((line, i) => ({ line, i, name: line.slice(0, line.indexOf(":")) }))
    .sort((a, b) => a.name.localeCompare(b.name, "en") || a.i - b.i)
    .map(({ line }) => `[${line}]`)
    .join("");
}

/** Framing is seen by its effect; the rest says who passed the message on. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "server",
  "transfer-encoding",
  "x-envoy-decorator-operation",
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-upstream-service-time",
  "x-forwarded-proto",
  "x-request-id",
]);
