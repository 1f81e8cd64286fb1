import { CommanderError } from "commander";

/** 1: it was tried and failed. 2: the command, a setting or the machine's state has to be changed first. */
export type FailureExit = 1 | 2;

/**
 * THE TABLE of the command's own failures; codes of control (control/error.ts) pass through as they are.
 *
 * The codes stand in `--json` problem documents, so that a script decides by code, not by text.
 */
export const CLI_FAILURES = {
  usage: { exit: 2, title: "the command line is wrong" },
  "port-in-use": { exit: 2, title: "a port is taken" },
  "control-unreachable": { exit: 1, title: "control does not answer" },
  "not-ready": { exit: 1, title: "the sandbox is not ready" },
  "request-failed": { exit: 1, title: "the request got no answer" },
  refused: { exit: 1, title: "a proxy refused the request, or made the answer itself" },
  "trace-incomplete": { exit: 1, title: "the route is not proved" },
  "no-proxies": { exit: 1, title: "no proxy reports to control" },
  "entry-untagged": { exit: 1, title: "no proxy of ours took the tag at the entry" },
  "child-died": { exit: 1, title: "a process of the demo ended" },
  "proof-failed": { exit: 1, title: "the demo did not prove its claim" },
  "intercept-privilege": { exit: 2, title: "rules need a privilege" },
  "intercept-no-iptables": { exit: 2, title: "there is no iptables that works here" },
  "intercept-conflict": { exit: 2, title: "somebody else is in the way of the rules" },
  "intercept-failed": { exit: 1, title: "the rules could not be written" },
  failed: { exit: 1, title: "the command failed" },
} as const satisfies Record<string, { exit: FailureExit; title: string }>;

/** A code of CLI_FAILURES. */
export type CliFailureCode = keyof typeof CLI_FAILURES;

/** RFC 9457 problem document, as `--json` prints it for any failure. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly code: string;
  readonly detail: string;
  /** What to do about it, where we know. */
  readonly fix?: string;
  readonly [member: string]: unknown;
}

/** What may be said of a failure besides what failed. */
export interface CliErrorDetails {
  /** What to do about it. */
  readonly fix?: string;
  readonly cause?: unknown;
  /** Further members of the problem document: what was found out before it failed. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** A failure that the user is told: what failed and why (`message`), and what to do (`fix`). */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: FailureExit;
  readonly problem: ProblemDocument;

  constructor(code: CliFailureCode, message: string, details: CliErrorDetails = {}) {
    super(message, { cause: details.cause });
    const row = CLI_FAILURES[code];
    this.exitCode = row.exit;
    this.problem = {
      type: "about:blank",
      title: row.title,
      code,
      detail: message,
      ...(details.fix === undefined ? {} : { fix: details.fix }),
      ...details.members,
    };
  }

  /** Passes on what control said: its code, and its fix. */
  static ofControl(answer: Error & { readonly problem: ProblemDocument }): CliError {
    return new CliError("failed", controlText(answer.problem), {
      cause: answer,
      members: answer.problem,
    });
  }
}

/** Each thing that is wrong with what we sent is named (`errors` of control's problem document). */
function controlText({ title, detail, errors }: ProblemDocument): string {
  const each = Array.isArray(errors) ? errors.map(({ path, message }) => `${path} ${message}`) : [];
  return [`${title}: ${detail}`, ...each].join("; ");
}

/** Turns whatever was thrown into a CliError; `path` is the command that was asked for. */
export function toCliError(thrown: unknown, path: string): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof CommanderError) return usageError(thrown, path);
  return new CliError("failed", oneLine(describe(thrown)), { cause: thrown });
}

/** Writes the failure as the one line for people: what failed, why, what to do. */
export function formatError(error: CliError): string {
  const { fix } = error.problem;
  return `forklane: ${oneLine(error.message)}${fix === undefined ? "" : `; ${oneLine(fix)}`}`;
}

/** Commander says `error: <what>`, perhaps with a sentence behind, or what was meant on a second line. */
function usageError(thrown: CommanderError, path: string): CliError {
  const text = oneLine(thrown.message.replace(/^error: /, ""))
    .replace("is invalid. ", "is invalid: ")
    .replace(/\.$/, "");
  return new CliError("usage", text, { fix: `see ${path} --help`, cause: thrown });
}

function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause instanceof Error ? `: ${thrown.cause.message}` : "";
  return `${thrown.message || thrown.name}${cause}`;
}

/** Control characters of a peer's text never reach a terminal. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
}
