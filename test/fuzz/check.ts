import { Dice } from "../harness/dice.ts";
import { differenceOf } from "./difference.ts";
import { readFields, readTable } from "./fields/read-fields.ts";
import { readFieldsByReference, readTableByReference } from "./fields/reference-fields.ts";
import { expectedForwarded, forwardedText } from "./forwarded.ts";
import { type Input, LIMITS } from "./input.ts";
import { readByNode } from "./llhttp.ts";
import { ruleOf } from "./node-rules.ts";
import { readByOurs } from "./ours.ts";
import { messageText, type Outcome, outcomeText } from "./outcome.ts";
import { readByReference } from "./reference.ts";
import { type Arrived, arrivedInWords, expectedRequests, relayRequests } from "./relay-requests.ts";
import {
  expectedRelayed,
  isRelayed,
  type Relayed,
  relayedInWords,
  relayResponse,
} from "./relay-response.ts";

/** What is compared with one another, and with Node's parser. */
export interface Subjects {
  /** The parser that is looked at; `cuts` are offsets at which the bytes arrive apart. */
  readonly ours: (input: Input, cuts: readonly number[]) => Outcome;
  readonly reference: (input: Input) => Outcome;
  /** What goes on to an upstream of the requests of an input. */
  readonly forward: (input: Input, cuts: readonly number[]) => string;
  /** What comes of requests, through a whole proxy in memory. */
  readonly relayRequests: (input: Input, cuts: readonly number[]) => Arrived;
  /** What the caller gets of a response, through a whole proxy in memory. */
  readonly relay: (input: Input, cuts: readonly number[]) => Relayed;
  /** What is read out of fields, or of a table; and what is to be. */
  readonly fields: (input: Input) => string;
  readonly fieldsReference: (input: Input) => string;
}

/** The proxy's own. */
export const SUBJECTS: Subjects = {
  ours: readByOurs,
  reference: readByReference,
  forward: forwardedText,
  relayRequests,
  relay: relayResponse,
  fields: ({ kind, text }) => (kind === "tables" ? readTable(text) : readFields(text)),
  fieldsReference: ({ kind, text }) =>
    kind === "tables" ? readTableByReference(text) : readFieldsByReference(text),
};

/** What is wrong with how an input is read, with all outcomes in words. */
export interface Finding {
  /** Which of the checks fails; while an input is made smaller, it stays the same. */
  readonly check: "throws" | "reference" | "fields" | "split" | "node" | "forwarded" | "relayed";
  readonly input: Input;
  /** What the check compares: ours first, then what it should be. */
  readonly ours: string;
  readonly expected: string;
  readonly node: string;
}

/** What is done with an input beside reading it in one piece. */
export interface Extras {
  /** Offsets of an arrival in pieces; null for none. */
  readonly cuts: readonly number[] | null;
  /** Whether what goes on to the other side is looked at too. */
  readonly isPassedOn: boolean;
}

/** How often a rule explained a difference from Node's parser. */
export type RuleCounts = Map<string, number>;

/** Compares how an input is read by ours, the reference and Node; null where all is as it must be. */
export function check(
  input: Input,
  extras: Extras,
  subjects: Subjects = SUBJECTS,
  rules: RuleCounts = new Map(),
): Finding | null {
  try {
    if (input.kind === "fields" || input.kind === "tables") return checkFields(input, subjects);
    return checkReading(input, extras, subjects, rules);
  } catch (error) {
    return finding("throws", input, error instanceof Error ? `${error.stack}` : String(error), "");
  }
}

function checkFields(input: Input, subjects: Subjects): Finding | null {
  const ours = subjects.fields(input);
  const expected = subjects.fieldsReference(input);
  return ours === expected ? null : { check: "fields", input, ours, expected, node: "" };
}

function checkReading(
  input: Input,
  { cuts, isPassedOn }: Extras,
  subjects: Subjects,
  rules: RuleCounts,
): Finding | null {
  const ours = subjects.ours(input, []);
  const text = outcomeText(ours);
  const reference = outcomeText(subjects.reference(input));
  if (text !== reference) return finding("reference", input, text, reference);
  if (cuts !== null) {
    const cutText = outcomeText(subjects.ours(input, cuts));
    if (cutText !== text) return finding("split", input, `${cutText} (cut at ${cuts})`, text);
  }
  const difference = differenceOf(input, ours, readByNode(input));
  if (difference !== null) {
    const rule = ruleOf(difference);
    if (rule === null) return finding("node", input, text, difference.kind);
    rules.set(rule, (rules.get(rule) ?? 0) + 1);
  }
  if (!isPassedOn) return null;
  if (input.kind === "responses") return checkRelayed(input, subjects.relay(input, cuts ?? []));
  return (
    checkForwarded(input, ours, subjects.forward(input, cuts ?? [])) ??
    checkArrived(input, ours, subjects.relayRequests(input, cuts ?? []))
  );
}

/** What goes on has to be read by everybody as the messages that we have read. */
function checkForwarded(input: Input, ours: Outcome, text: string): Finding | null {
  const forwarded: Input = { kind: "requests", text, methods: [], limits: "wide" };
  const outcome = readByReference(forwarded);
  const seen = inWords(outcome);
  const expected = expectedInWords(ours);
  if (seen !== expected) return finding("forwarded", input, seen, expected);
  const difference = differenceOf(forwarded, outcome, readByNode(forwarded));
  const rule = difference === null ? "" : ruleOf(difference);
  if (difference === null || FORWARDED_RULES.includes(rule ?? "")) return null;
  return finding("forwarded", input, text, `Node: ${difference.kind} ${rule}`);
}

/** Each request arrives once, as it was sent, and its answer goes to who asked. */
function checkArrived(input: Input, ours: Outcome, arrived: Arrived): Finding | null {
  const seen = arrivedInWords(arrived, input, ours);
  const expected = expectedRequests(ours);
  return seen === expected ? null : finding("relayed", input, seen, expected);
}

/** What is cut short or refused must not look whole to the caller, and no field of ours be another's. */
function checkRelayed(input: Input, relayed: Relayed): Finding | null {
  const seen = relayedInWords(input, relayed);
  const expected = expectedRelayed(input);
  if (isRelayed(seen, expected)) return null;
  return finding("relayed", input, seen, expected.join("\nor\n"));
}

/** Of what we forward, Node's parser refuses methods that it does not know; nothing is read otherwise. */
const FORWARDED_RULES: readonly string[] = ["unknown-method", "pri", "in-unfinished-line"];

function inWords({ messages, unfinished }: Outcome): string {
  const all = [...messages, ...(unfinished === null ? [] : [unfinished])];
  return `${all.map((message) => messageText({ ...message, keepsAlive: true, end: 0 })).join("\n")}\n${unfinished !== null}`;
}

function expectedInWords(ours: Outcome): string {
  const messages = [...expectedForwarded(ours)];
  const isCut = ours.unfinished !== null && messages.length > ours.messages.length;
  const unfinished = isCut ? (messages.pop() ?? null) : null;
  return inWords({ messages, end: "", unfinished });
}

function finding(check: Finding["check"], input: Input, ours: string, expected: string): Finding {
  return { check, input, ours, expected, node: outcomeText(readByNode(input)) };
}

/** Offsets at which an input is cut: a few, many, or between all bytes; the same for the same seed. */
export function cutsOf(seed: number, { text, limits }: Input): readonly number[] {
  const dice = Dice.of(seed, "cuts");
  if (text.length < 2) return [];
  const isShort = text.length <= LIMITS[limits].headBytesMax && text.length <= SHORT_BYTES;
  if (isShort && dice.oneIn(4)) return Array.from({ length: text.length - 1 }, (_, i) => i + 1);
  const count = 1 + dice.below(dice.oneIn(3) ? 12 : 2);
  const cuts = new Set<number>();
  for (let i = 0; i < count; i++) cuts.add(1 + dice.below(text.length - 1));
  return [...cuts].sort((a, b) => a - b);
}

/** What is longer is not sent byte by byte: it would take the time of a hundred others. */
const SHORT_BYTES = 2_000;
