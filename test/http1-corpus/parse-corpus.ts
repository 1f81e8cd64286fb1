/** Reads the corpus: files of raw messages with what must become of them (README.md has the format). */
import { readdirSync } from "node:fs";
import { FAULTS, type FaultCode } from "../../proxy/fault.ts";
import { readText } from "../repository.ts";

/** What one side does next: send bytes, let some time pass, or end its direction, or break off. */
export type Step =
  | { readonly kind: "send"; readonly bytes: string }
  | { readonly kind: "pause" | "end" | "reset" };

export interface Answer {
  readonly status: number;
  /** The proxy's own answer; null if it is the upstream's. */
  readonly fault: FaultCode | null;
}

/** One message, or a few on one connection, and what must become of them. Bytes are latin1. */
export interface CorpusCase {
  /** `file/block`, or `file/block/variant`. */
  readonly name: string;
  /** The clause, and what it means here. */
  readonly why: string;
  readonly sent: readonly Step[];
  /** What the upstream must receive, byte for byte. */
  readonly forwarded: string;
  /** What the upstream does once it has a request; null for an ordinary answer. */
  readonly reply: readonly Step[] | null;
  /** What the caller must receive, byte for byte; null if only the answers are said. */
  readonly received: string | null;
  readonly answers: readonly Answer[];
  /** The caller's connection is closed behind the last answer. */
  readonly isClosed: boolean;
  /** The last answer is begun and must not look complete. */
  readonly isCut: boolean;
  /** The upstream connection may carry another exchange; null if that is not looked at. */
  readonly isKept: boolean | null;
}

/** The request of a case that says only what the upstream does. */
export const PLAIN_REQUEST = "GET /case HTTP/1.1\r\nHost: a\r\n\r\n";

/** All cases of `requests/` or `responses/`, by file. */
export function readCorpus(
  folder: "requests" | "responses",
): ReadonlyMap<string, readonly CorpusCase[]> {
  const files = readdirSync(`${import.meta.dirname}/${folder}`).sort();
  return new Map(
    files.map((file) => {
      const name = file.replace(/\.txt$/, "");
      return [name, parseCorpus(name, readText(`test/http1-corpus/${folder}/${file}`))];
    }),
  );
}

/** Parses one file; throws an error that names the block which is not right. */
export function parseCorpus(file: string, text: string): CorpusCase[] {
  const [, ...blocks] = text.split(/^## /m);
  const cases = blocks.flatMap((block) => parseBlock(file, block.trimEnd().split("\n")));
  const names = cases.map((it) => it.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`${twice} is there twice`);
  return cases;
}

function parseBlock(file: string, [title = "", ...lines]: readonly string[]): CorpusCase[] {
  const name = `${file}/${title.trim()}`;
  const variants = lines.filter((line) => line.startsWith("| "));
  const body = lines.filter((line) => line !== "" && !line.startsWith("| "));
  if (variants.length === 0) return [parseCase(name, body)];
  return variants.map((line) => {
    const [, variant = "", text = ""] = /^\| (\S+) \| ?(.*?) *$/.exec(`${line} `) ?? [];
    if (variant === "") throw new Error(`${name}: a variant is "| name | text", not "${line}"`);
    return parseCase(
      `${name}/${variant}`,
      body.map((it) => it.replaceAll("{}", text)),
    );
  });
}

function parseCase(name: string, lines: readonly string[]): CorpusCase {
  const marked = (mark: string): string[] =>
    lines
      .filter((line) => line === mark || line.startsWith(`${mark} `))
      .map((line) => line.slice(mark.length + 1));
  const why = lines.filter((line) => !/^(?:>>?|<<?|=)(?: |$)/.test(line)).join(" ");
  if (!/^RFC \d+\b|^W3C |^choice: /.test(why)) throw new Error(`${name}: says no clause`);
  const sentLines = marked(">");
  const forwardedLines = marked(">>");
  const outcome = parseOutcome(name, marked("="));
  const sent = sentLines.length === 0 ? asSteps(PLAIN_REQUEST) : parseSteps(name, sentLines);
  const isRefused = outcome.answers.every((answer) => answer.fault !== null);
  const asSent = isRefused && marked("<").length === 0 ? "" : bytesOf(sent);
  return {
    name,
    why,
    sent,
    forwarded: forwardedLines.length === 0 ? asSent : bytesOf(parseSteps(name, forwardedLines)),
    reply: marked("<").length === 0 ? null : parseSteps(name, marked("<")),
    received: marked("<<").length === 0 ? null : bytesOf(parseSteps(name, marked("<<"))),
    ...outcome,
  };
}

/** `= 200, 400 head-malformed, closed, upstream kept`. */
function parseOutcome(name: string, lines: readonly string[]) {
  if (lines.length !== 1) throw new Error(`${name}: has ${lines.length} outcomes, not one`);
  const words = (lines[0] ?? "").split(",").map((word) => word.trim());
  const answers: Answer[] = [];
  for (const word of words) {
    const answer = /^(\d{3})(?: ([a-z-]+))?$/.exec(word);
    if (answer !== null) answers.push({ status: Number(answer[1]), fault: faultOf(name, answer) });
    else if (!OUTCOME_WORDS.has(word)) throw new Error(`${name}: what is the outcome "${word}"?`);
  }
  const last = answers.at(-1)?.fault ?? null;
  const isDownstreamFault = last !== null && FAULTS[last].source === "downstream";
  const isClosed = words.some((word) => ["closed", "cut", "none"].includes(word));
  return {
    answers,
    isClosed: isClosed || (isDownstreamFault && !words.includes("open")),
    isCut: words.includes("cut"),
    isKept: words.includes("upstream kept") || (words.includes("upstream closed") ? false : null),
  };
}

const OUTCOME_WORDS: ReadonlySet<string> = new Set([
  "none",
  "open",
  "closed",
  "cut",
  "upstream kept",
  "upstream closed",
]);

function faultOf(name: string, answer: RegExpExecArray): FaultCode | null {
  const code = answer[2] ?? null;
  if (code === null) return null;
  if (!(code in FAULTS)) throw new Error(`${name}: there is no fault ${code}`);
  if (FAULTS[code as FaultCode].status !== Number(answer[1])) {
    throw new Error(`${name}: ${code} is not answered ${answer[1]}`);
  }
  return code as FaultCode;
}

function asSteps(bytes: string): Step[] {
  return [{ kind: "send", bytes }];
}

/** The bytes that the steps send, one behind the other. */
export function bytesOf(steps: readonly Step[]): string {
  return steps.map((step) => (step.kind === "send" ? step.bytes : "")).join("");
}

/** Each line ends in CR LF, unless it ends in a backslash. */
function parseSteps(name: string, lines: readonly string[]): Step[] {
  const text = lines.map((line) =>
    /(?:^|[^\\])\\$/.test(line) ? line.slice(0, -1) : `${line}\\r\\n`,
  );
  const steps: Step[] = [];
  let bytes = "";
  const flush = (): void => {
    if (bytes !== "") steps.push({ kind: "send", bytes });
    bytes = "";
  };
  for (const token of text.join("").match(TOKENS) ?? []) {
    const kind = STEP_KINDS[token];
    if (kind === undefined) bytes += unescaped(name, token);
    else {
      flush();
      steps.push({ kind });
    }
  }
  flush();
  return steps;
}

const TOKENS = /\\\{\d+ [^}]*\}|\\x[0-9a-fA-F]{2}|\\.|[^\\]/gs;
const STEP_KINDS: Readonly<Record<string, "pause" | "end" | "reset">> = {
  "\\P": "pause",
  "\\F": "end",
  "\\R": "reset",
};
const ESCAPES: Readonly<Record<string, string>> = {
  "\\r": "\r",
  "\\n": "\n",
  "\\t": "\t",
  "\\0": "\0",
  "\\s": " ",
  "\\\\": "\\",
};

function unescaped(name: string, token: string): string {
  if (!token.startsWith("\\")) return token;
  if (token.startsWith("\\x")) return String.fromCharCode(Number.parseInt(token.slice(2), 16));
  const times = /^\\\{(\d+) (.*)\}$/s.exec(token);
  if (times !== null) return bytesOf(parseSteps(name, [`${times[2]}\\`])).repeat(Number(times[1]));
  const found = ESCAPES[token];
  if (found === undefined) throw new Error(`${name}: what is ${token}?`);
  return found;
}
