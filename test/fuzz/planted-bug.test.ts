import { expect, test, vi } from "vitest";
import { SUBJECTS, type Subjects } from "./check.ts";
import { fuzz } from "./fuzzer.ts";
import type { Input } from "./input.ts";
import { readByOurs } from "./ours.ts";
import type { Outcome } from "./outcome.ts";
import { readByReference } from "./reference.ts";
import type { Relayed } from "./relay-response.ts";
import { findingText } from "./report.ts";

/** Nothing here is about time: a busy machine takes some. */
vi.setConfig({ testTimeout: 120_000 });

/** More than each bug needs; a fuzzer that has gone blind fails here. */
const INPUTS_MAX = 50_000;
const SEED = 1;

/** A parser as it would be with a bug: it reads what another text says. */
function withText(change: (text: string) => string): (input: Input) => Outcome {
  return (input) => readByOurs({ ...input, text: change(input.text) });
}

/** A text in another one's place, of the same length, so that every offset stays. */
const plusIsZero = (text: string) => text.replace(/(\nContent-Length: *)\+/gi, "$10");
const xIsBlank = (text: string) => text.replace(/(\nTransfer-Encoding:) xchunked/gi, "$1  chunked");

const xAsBlank = (input: Input): Input => ({ ...input, text: xIsBlank(input.text) });

/** The bug, the check that finds it, and what is left of the input at most. */
const PLANTED: readonly [string, Partial<Subjects>, string, RegExp, number][] = [
  [
    "a line feed alone ends a line",
    { ours: withText((text) => text.replace(/(?<!\r)\n/g, "\r\n")) },
    "reference",
    /(?<!\r)\n/,
    30,
  ],
  ["Content-Length may have a sign", { ours: withText(plusIsZero) }, "reference", /: *\+/, 70],
  [
    "a second Content-Length is not looked at",
    {
      ours: withText((text) =>
        text.replace(/(\nContent-Length:[^\n]*)(\nContent)-Length:/gi, "$1$2_Length:"),
      ),
    },
    "reference",
    /(?:\ncontent-length:[^\n]*){2}/i,
    90,
  ],
  [
    "a line end that arrives in two pieces is not seen",
    {
      ours: (input, cuts) => (isBetweenLineEnd(input, cuts) ? NOTHING : readByOurs(input, cuts)),
    },
    "split",
    /\r\n/,
    40,
  ],
  [
    "a coding that nobody knows is chunked, to the reference too",
    {
      ours: withText(xIsBlank),
      reference: (input) => readByReference(xAsBlank(input)),
    },
    "node",
    /xchunked/,
    80,
  ],
  [
    "what Connection names goes on",
    { forward: (input, cuts) => SUBJECTS.forward(input, cuts).replace(/\r\n/, "\r\nTE: gzip\r\n") },
    "forwarded",
    /HTTP\/1\.[01]/,
    40,
  ],
  [
    "an answer is given to the next request",
    {
      relayRequests: (input, cuts) => {
        const arrived = SUBJECTS.relayRequests(input, cuts);
        return {
          ...arrived,
          text: arrived.text.replace(/(GET [^ ]+ 0)(.*)(?!\1)(GET [^ ]+ 0)/s, "$3$2$1"),
        };
      },
    },
    "relayed",
    /GET.*GET/s,
    140,
  ],
  [
    "a response that is cut short is ended",
    { relay: (input, cuts) => ended(SUBJECTS.relay(input, cuts)) },
    "relayed",
    /chunked/i,
    90,
  ],
  [
    "a member of baggage is searched for and not parsed",
    {
      fields: (input) =>
        SUBJECTS.fields({
          ...input,
          text: input.text.replace(/xsandbox=|x=sandbox=/g, "sandbox="),
        }),
    },
    "fields",
    /x=?sandbox/,
    40,
  ],
];

const NOTHING: Outcome = { messages: [], end: "cut", unfinished: null };

/** Of a chunked response whose connection was cut, one that looks whole. */
function ended(relayed: Relayed): Relayed {
  const isCut = relayed.closed !== null && /\ntransfer-encoding:/i.test(relayed.text);
  return isCut ? { ...relayed, text: `${relayed.text}0\r\n\r\n` } : relayed;
}

function isBetweenLineEnd({ text }: Input, cuts: readonly number[]): boolean {
  return cuts.some((cut) => text.slice(cut - 1, cut + 1) === "\r\n");
}

test.each(PLANTED)("finds it, and makes it small: %s", (_, planted, check, essence, bytesMax) => {
  const subjects = { ...SUBJECTS, ...planted };
  const { findings, tried } = fuzz(SEED, ({ inputs }) => inputs >= INPUTS_MAX, subjects);
  expect(tried.inputs).toBeLessThan(INPUTS_MAX);
  expect(findings.map(({ small }) => small.check)).toContain(check);
  for (const { small } of findings) {
    expect(small.input.text).toMatch(essence);
    expect(small.input.text.length).toBeLessThanOrEqual(bytesMax);
  }
});

test("without a bug it finds nothing, and says what it tried", () => {
  const { findings, tried } = fuzz(SEED, ({ inputs }) => inputs >= 1_000);
  expect(findings.map(({ seed, small }) => findingText(seed, small))).toEqual([]);
  expect(tried.inputs).toBe(1_000);
  const { requests, responses, fields, tables, splits, relayed } = tried;
  expect(requests + responses + fields + tables).toBe(1_000);
  expect(Math.min(splits, relayed)).toBeGreaterThan(100);
});
