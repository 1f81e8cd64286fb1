import { Command, CommanderError } from "commander";
import { formatError, toCliError } from "./cli-error.ts";
import { readCliConfig } from "./config.ts";
import { type CliContext, createContext, printJson } from "./context.ts";
import { endWithParent } from "./end-with-parent.ts";

/** A word of the command line: what help says of it, and the file that knows the rest. */
interface CommandRow {
  readonly words: string;
  readonly summary: string;
  readonly load: () => Promise<(context: CliContext) => Command>;
}

/**
 * THE COMMANDS, in the order of help. Only the file of the one that was asked for is loaded, so
 * that `forklane proxy` pays for no HTTP client and no API server.
 */
const COMMANDS: readonly CommandRow[] = [
  {
    words: "start",
    summary: "all of it on this machine, with a demo shop; proves a route",
    load: async () => (await import("./commands/start.ts")).startCommand,
  },
  {
    words: "control",
    summary: "run the control plane: API, store, routing tables",
    load: async () => (await import("./commands/control.ts")).controlCommand,
  },
  {
    words: "proxy",
    summary: "run a proxy beside a service, beside a fork, or at the edge",
    load: async () => (await import("./commands/proxy.ts")).proxyCommand,
  },
  {
    words: "intercept",
    summary: "have the kernel hand a service's connections to its proxy",
    load: async () => (await import("./commands/intercept.ts")).interceptCommand,
  },
  {
    words: "sandbox up",
    summary: "create or replace a sandbox",
    load: async () => (await import("./commands/sandbox-up.ts")).sandboxUpCommand,
  },
  {
    words: "sandbox list",
    summary: "list sandboxes",
    load: async () => (await import("./commands/sandbox-list.ts")).sandboxListCommand,
  },
  {
    words: "sandbox get",
    summary: "show one sandbox and whether it is ready",
    load: async () => (await import("./commands/sandbox-get.ts")).sandboxGetCommand,
  },
  {
    words: "sandbox down",
    summary: "delete a sandbox",
    load: async () => (await import("./commands/sandbox-down.ts")).sandboxDownCommand,
  },
  {
    words: "explain",
    summary: "say where a request would go, and why, without sending it",
    load: async () => (await import("./commands/explain.ts")).explainCommand,
  },
  {
    words: "request",
    summary: "send a tagged request; show who served each hop",
    load: async () => (await import("./commands/request.ts")).requestCommand,
  },
  {
    words: "trace",
    summary: "show the hops of a request that was sent before",
    load: async () => (await import("./commands/trace.ts")).traceCommand,
  },
  {
    words: "doctor propagation",
    summary: "say which hop loses the tag, and what to do about it",
    load: async () => (await import("./commands/doctor-propagation.ts")).doctorPropagationCommand,
  },
];

/** Nouns that have verbs. */
const NOUNS: Readonly<Record<string, string>> = {
  doctor: "propagation: what is wrong with an environment, and what to do",
  sandbox: "up, list, get, down: named forks with one routing key",
};

const DESCRIPTION =
  "Try a change against the real services around it: requests with a routing key\n" +
  "reach the fork, everybody else the baseline, and every route is proved.";

const EPILOGUE = `
Everywhere: --json prints JSON, also for failures. Control is found by
--control URL or FORKLANE_CONTROL. Exit codes: 0 done, 1 failed, 2 usage.`;

/** Runs one command line and returns the exit code; never throws. */
export async function runCli(argv: readonly string[]): Promise<number> {
  endWithParent();
  const context = createContext(readCliConfig(), process.stdout, process.stderr);
  endQuietlyWithReader(process.stdout);
  const program = createProgram(context);
  try {
    await addCommands(program, context, argv);
    await program.parseAsync(argv, { from: "user" });
    return context.exitCode;
  } catch (thrown) {
    return report(context, thrown, program, argv);
  }
}

function createProgram(context: CliContext): Command {
  return new Command("forklane")
    .description(DESCRIPTION)
    .usage("COMMAND [options]")
    .helpCommand("help [command]", "help for a command")
    .addHelpText("after", EPILOGUE)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: () => {},
    });
}

/** Adds the commands of the noun in `argv`; the others only as lines of the help. */
async function addCommands(
  program: Command,
  context: CliContext,
  argv: readonly string[],
): Promise<void> {
  const noun = argv[0] === "help" ? argv[1] : argv[0];
  for (const row of COMMANDS) await addRow(program, row, row.words.split(" ")[0] === noun, context);
}

async function addRow(
  program: Command,
  row: CommandRow,
  isAskedFor: boolean,
  context: CliContext,
): Promise<void> {
  const [noun = "", verb] = row.words.split(" ");
  const parent = verb === undefined ? program : nounOf(program, noun);
  if (!isAskedFor) {
    if (verb === undefined) parent.command(noun).description(row.summary);
    return;
  }
  const create = await row.load();
  const command = create(context).description(row.summary).copyInheritedSettings(program);
  parent.addCommand(command.addHelpText("after", EXIT_CODES));
}

const EXIT_CODES = "\nExit codes: 0 done, 1 failed, 2 usage.";

function nounOf(program: Command, noun: string): Command {
  const existing = program.commands.find((each) => each.name() === noun);
  return (
    existing ??
    program
      .command(noun)
      .description(NOUNS[noun] ?? "")
      .usage("VERB [options]")
  );
}

/** Prints a failure, as a problem document where `--json` was asked for. */
function report(
  context: CliContext,
  thrown: unknown,
  program: Command,
  argv: readonly string[],
): number {
  if (thrown instanceof CommanderError && isHelp(thrown)) return thrown.exitCode === 0 ? 0 : 2;
  const error = toCliError(thrown, commandPath(program, argv));
  if (argv.includes("--json")) printJson(context, error.problem);
  else context.stderr.write(`${formatError(error)}\n`);
  return error.exitCode;
}

/** Help and version end a command line by an error of their own, with its text already printed. */
function isHelp(error: CommanderError): boolean {
  return error.code.startsWith("commander.help") || error.code === "commander.version";
}

/** The words of `argv` that are commands: `forklane sandbox up`. */
function commandPath(program: Command, argv: readonly string[]): string {
  let command = program;
  const words = [program.name()];
  for (const word of argv) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    words.push(word);
    command = next;
  }
  return words.join(" ");
}

/** `forklane sandbox list | head -1` closes our output: nothing is wrong then. */
function endQuietlyWithReader(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}
