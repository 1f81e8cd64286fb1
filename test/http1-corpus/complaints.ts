import type { CorpusCase } from "./parse-corpus.ts";
import { type ReadResponse, readRequests } from "./read-messages.ts";
import type { Observed } from "./run-case.ts";

/** What was seen and is not what the case says, from both ends; empty if all is as it must be. */
export function complaints(it: CorpusCase, seen: Observed): string[] {
  const found = [
    ...differs("upstream received", it.forwarded, withoutOurMarks(seen.forwarded)),
    ...differs("answers", answersOf(it), answersSeen(it, seen)),
    ...(it.received === null
      ? []
      : differs("caller received", it.received, withoutOurDate(it, seen.received))),
    ...differs("the connection is", it.isClosed ? "closed" : "open", connectionSeen(it, seen)),
    ...(seen.isNextUnharmed ? [] : ["another caller did not get its own answer"]),
    ...(it.isKept === null || it.isKept === seen.isKept
      ? []
      : [`the upstream connection is ${seen.isKept ? "kept" : "closed"}`]),
    ...unreadable(seen),
    ...crossed(it, seen),
  ];
  return found.map((text) => `${it.name}: ${text}`);
}

/** Bytes with all that is not visible escaped, cut where they are long. */
export function visible(bytes: string): string {
  const escaped = JSON.stringify(bytes).replaceAll(/[\x7f-\xff]/g, (byte) => {
    return `\\x${byte.charCodeAt(0).toString(16)}`;
  });
  return escaped.length <= SHOWN_CHARS ? escaped : `${escaped.slice(0, SHOWN_CHARS)}...`;
}

const SHOWN_CHARS = 400;

function differs(what: string, expected: string, seen: string): string[] {
  if (expected === seen) return [];
  return [`${what} ${visible(seen)}, not ${visible(expected)}`];
}

function answersOf(it: CorpusCase): string {
  const answers = it.answers.map(({ status, fault }) => `${status} ${fault ?? "forwarded"}`);
  return [...answers, ...(it.isCut ? ["cut"] : [])].join(", ");
}

function answersSeen(it: CorpusCase, { responses, closed }: Observed): string {
  const answers = responses.messages
    .filter(({ status }) => status >= 200 || status === 101)
    .map(({ status, fields }) => {
      return `${status} ${ownFault(fields) ?? "forwarded"}`;
    });
  const isCut = responses.messages.some(({ isWhole }) => !isWhole);
  const isLeftOver = responses.rest !== "" && it.answers.at(-1)?.status !== 101;
  const endsBadly = isCut || (closed === "reset" && answers.length === 0);
  return [...answers, ...(endsBadly ? ["cut"] : []), ...(isLeftOver ? ["unreadable"] : [])].join(
    ", ",
  );
}

/** The fault of an answer of this proxy's own; what another proxy says is only passed on. */
function ownFault(fields: ReadResponse["fields"]): string | undefined {
  const value = fields.find(([name]) => name === "forklane-fault")?.[1] ?? "";
  return /^([a-z-]+); by=shop\/cart$/.exec(value)?.[1];
}

/** Open is what another request on the connection was answered on. */
function connectionSeen(it: CorpusCase, { marker, closed }: Observed): string {
  if (it.answers.at(-1)?.status === 101) return it.isClosed ? "closed" : "open";
  if (marker === "answered") return "open";
  return closed === "open" ? "left hanging" : "closed";
}

/** What a strict recipient cannot read must never reach an upstream, except as a message cut short. */
function unreadable({ forwarded, arrivals }: Observed): string[] {
  const { messages, rest } = readRequests(arrivals.join(""));
  if (rest !== "") return [`a strict upstream cannot read ${visible(rest)}`];
  if (messages.length !== arrivals.length) {
    return [`strictly read these are ${messages.length} requests: ${visible(forwarded)}`];
  }
  return [];
}

/** Each ordinary answer names its request: nobody gets another's. */
function crossed(it: CorpusCase, { responses, arrivals }: Observed): string[] {
  if (it.reply !== null) return [];
  const bodies = responses.messages.filter((it) => it.body.startsWith("GET ")).map((it) => it.body);
  const names = arrivals.map((bytes) => bytes.split(" ", 2).join(" "));
  return bodies.filter((body) => !names.includes(body)).map((body) => `was answered ${body}`);
}

/** Responses without a date get one (RFC 9110 section 6.6.1): when, the corpus cannot say. */
function withoutOurDate(it: CorpusCase, text: string): string {
  if (it.reply?.some((step) => step.kind === "send" && /^date:/im.test(step.bytes))) return text;
  return text.replace(/^date: [^\r\n]*\r\n/gm, "");
}

/** Marks of a tagged request differ each time. */
function withoutOurMarks(text: string): string {
  return text
    .replaceAll(/forklane-hop=[0-9a-z]+\.[0-9a-z]+/g, "forklane-hop=*")
    .replaceAll(/^(forklane-via: shop\/cart;)[^\r\n]*/gm, "$1*")
    .replaceAll(/^host: 127\.0\.0\.1:\d+\r$/gm, "host: *\r");
}
