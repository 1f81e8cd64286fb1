import { Command } from "commander";
import { CliError } from "../cli-error.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import {
  collectHeader,
  durationMs,
  readDuration,
  readRequestUrl,
  readTag,
} from "../option-values.ts";
import { printable } from "../printable.ts";
import { incompleteness, readTrace, renderTrace, type TraceView } from "../read-trace.ts";
import { type Answer, send } from "../send.ts";
import { type TagForm, tagHeaders, toTag } from "../tag.ts";
import { formFor, type TagAs, tagAsOption } from "../tag-form.ts";
import { paint } from "../terminal.ts";

interface RequestFlags extends ControlFlags {
  readonly key: string;
  readonly strict: boolean;
  readonly header?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly tagAs: TagAs;
  readonly printBody?: boolean;
  readonly timeout: string;
}

/** How long the last hops may take to reach control, in milliseconds. */
const TRACE_WAIT_MS = 5_000;

const METHOD = /^[A-Z][A-Z-]{0,31}$/;

const EXAMPLE = `
The tag is strict: where the key is unknown or its fork is down the request is
refused, never answered by the baseline. Exit 1: refused, or the route is not proved.

  forklane request http://127.0.0.1:8080/checkout --key jane-42
  forklane request POST http://127.0.0.1:8080/cart --key jane-42 --body '{}'`;

/** `forklane request` */
export function requestCommand(context: CliContext): Command {
  const command = new Command("request")
    .usage("[options] [METHOD] URL")
    .argument("<words...>", "[METHOD] URL; the method is GET where none is given")
    .requiredOption("--key <key>", "the sandbox's routing key; K.base is its control arm", readTag)
    .option("--no-strict", "let the baseline answer where the fork cannot")
    .option("--header <name: value>", "a further header (repeatable)", collectHeader)
    .option("--body <text>", "body of the request")
    .addOption(tagAsOption())
    .option("--print-body", "print the answer's body too")
    .option("--timeout <duration>", "how long to wait for the answer", readDuration, "30s")
    .addHelpText("after", EXAMPLE);
  return addControlOptions(command, context).action((words: string[], flags: RequestFlags) =>
    sendTagged(context, words, flags),
  );
}

/** What is known of a request when all is done. */
interface Outcome {
  readonly request: { method: string; url: string; tag: string; tagAs: TagForm };
  readonly answer: Answer;
  readonly decision: string | null;
  readonly fault: string | null;
  readonly trace: TraceView | null;
}

async function sendTagged(
  context: CliContext,
  words: readonly string[],
  flags: RequestFlags,
): Promise<void> {
  const { method, url } = readWords(words);
  const tag = toTag(flags.key, flags.strict);
  const tagAs = await formFor(flags.tagAs, url, flags.control);
  const answer = await send({
    method,
    url,
    headers: tagHeaders(flags.header ?? [], tag, tagAs),
    body: flags.body ?? null,
    timeoutMs: durationMs(flags.timeout),
  });
  const root = header(answer, "forklane-trace");
  const outcome: Outcome = {
    request: { method, url: url.href, tag, tagAs },
    answer,
    decision: header(answer, "forklane-decision"),
    fault: header(answer, "forklane-fault"),
    trace: root === null ? null : await readTrace(flags.control, root, TRACE_WAIT_MS),
  };
  report(context, outcome, flags);
}

function readWords(words: readonly string[]): { method: string; url: URL } {
  const [first = "", second] = words;
  const method = second === undefined ? "GET" : first.toUpperCase();
  if (words.length > 2 || !METHOD.test(method)) {
    throw new CliError("usage", `"${words.join(" ")}" is not [METHOD] URL`, {
      fix: "see forklane request --help",
    });
  }
  return { method, url: readUrl(second ?? first) };
}

function readUrl(text: string): URL {
  try {
    return readRequestUrl(text);
  } catch (cause) {
    const fix = "write it as http://127.0.0.1:8080/checkout";
    throw new CliError("usage", `"${text}" is no URL`, { fix, cause });
  }
}

function header(answer: Answer, name: string): string | null {
  const value = answer.headers[name];
  return (Array.isArray(value) ? value.join(", ") : value) ?? null;
}

function report(context: CliContext, outcome: Outcome, flags: RequestFlags): void {
  const failure = failureOf(outcome);
  if (flags.json !== true) {
    printLines(context, render(outcome, context.stdoutTerminal.hasColor, flags.printBody === true));
  } else if (failure === null) {
    printJson(context, outcome);
  }
  if (failure !== null) throw failure;
}

/** A refusal anywhere on the way, a proxy's own answer, or a route that is not proved. */
function failureOf(outcome: Outcome): CliError | null {
  const { fault, trace, answer, request } = outcome;
  const members = { ...outcome };
  if (fault !== null) {
    const detail = `${request.url} was answered ${answer.status} by a proxy: ${fault}`;
    return new CliError("refused", detail, {
      fix: FIX_BY_FAULT[codeOf(fault)] ?? FIX_FAULT,
      members,
    });
  }
  const refused = trace?.hops.find((hop) => hop.outcome === "refused");
  if (refused !== undefined) {
    const detail = `${refused.workload} refused the request: ${refused.reason}`;
    return new CliError("refused", detail, {
      fix: FIX_BY_FAULT[refused.reason] ?? FIX_FAULT,
      members,
    });
  }
  if (trace === null) {
    const detail = "the answer has no forklane-trace: no proxy took the request for a tagged one";
    const fix = "see that a proxy listens at this URL and believes this machine's tags";
    return new CliError("trace-incomplete", detail, { fix, members });
  }
  const failure = incompleteness(trace);
  return failure && new CliError("trace-incomplete", failure.message, { members });
}

const FIX_FAULT = "the codes are explained in proxy/README.md";

const FIX_BY_FAULT: Readonly<Record<string, string>> = {
  "unknown-key": "no sandbox has this key: see forklane sandbox list",
  expired: "the sandbox of this key has ended: make it again with forklane sandbox up",
  "fork-down": "start the fork again, or see forklane sandbox get NAME",
  "table-unknown": "the proxy has no routing table yet: see that it reaches control",
  "table-stale": "the proxy lost control: see that it reaches it",
};

function codeOf(fault: string): string {
  return fault.split(";", 1)[0]?.trim() ?? fault;
}

function render(outcome: Outcome, hasColor: boolean, hasBody: boolean): string[] {
  const { request, answer, decision, fault, trace } = outcome;
  const title = `${request.method} ${request.url}   ${request.tag} (${request.tagAs})`;
  return [
    paint(title, "bold", hasColor),
    `status ${answer.status}`,
    ...(decision === null ? [] : [`decision ${printable(decision)}`]),
    ...(fault === null ? [] : [paint(`fault ${printable(fault)}`, "red", hasColor)]),
    ...(trace === null ? [] : ["", ...renderTrace(trace, hasColor)]),
    ...(hasBody ? ["", answer.body + (answer.isCut ? "... (cut)" : "")] : []),
  ];
}
