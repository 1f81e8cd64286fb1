import { Command, Option } from "commander";
import { askControl } from "../ask-control.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import {
  collectFork,
  collectLabel,
  type ForkOption,
  readDuration,
  readKey,
} from "../option-values.ts";
import { renderDryRun, renderSandbox } from "../render-sandbox.ts";
import { waitReady } from "../wait-ready.ts";

interface UpFlags extends ControlFlags {
  readonly fork: readonly ForkOption[];
  readonly key?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly onUnavailable?: "fail" | "baseline";
  readonly ttlIdle?: string;
  readonly ttlSinceUpdate?: string;
  readonly ttlMax?: string;
  readonly wait?: boolean;
  readonly timeout: string;
  readonly dryRun?: boolean;
}

const EXAMPLE = `
  forklane sandbox up jane-42 --fork shop/cart=127.0.0.1:9002 --wait`;

/** `forklane sandbox up` */
export function sandboxUpCommand(context: CliContext): Command {
  const command = new Command("up")
    .argument("<name>", "name of the sandbox")
    .requiredOption(
      "--fork <workload=host:port>",
      "a changed copy of a workload (repeatable)",
      collectFork,
    )
    .option("--key <key>", "routing key (default: the one it has, else a new one)", readKey)
    .option("--label <name=value>", "label to select it by (repeatable)", collectLabel)
    .addOption(onUnavailableOption())
    .option("--ttl-idle <duration>", "ends after this long without a request", readDuration)
    .option("--ttl-since-update <duration>", "ends after this long without a change", readDuration)
    .option("--ttl-max <duration>", "ends after this long in any case", readDuration)
    .option("--wait", "return when it is ready; exit 1 if it is not in time")
    .option("--timeout <duration>", "how long to wait", readDuration, "30s")
    .option("--dry-run", "only say what would change")
    .addHelpText("after", EXAMPLE);
  return addControlOptions(command, context).action((name: string, flags: UpFlags) =>
    up(context, name, flags),
  );
}

function onUnavailableOption(): Option {
  return new Option("--on-unavailable <policy>", "when a fork is down (default: fail)").choices([
    "fail",
    "baseline",
  ]);
}

async function up(context: CliContext, name: string, flags: UpFlags): Promise<void> {
  const body = bodyOf(flags);
  if (flags.dryRun === true) return dryRun(context, name, flags, body);
  const sandbox = await askControl(flags.control, async (client) => {
    const put = await client.putSandbox(name, body);
    return flags.wait === true ? waitReady(client, name, flags.timeout) : put;
  });
  if (flags.json === true) printJson(context, sandbox);
  else printLines(context, renderSandbox(sandbox, context.stdoutTerminal.hasColor));
}

async function dryRun(
  context: CliContext,
  name: string,
  flags: UpFlags,
  body: SandboxBody,
): Promise<void> {
  const document = await askControl(flags.control, (client) => client.dryRunSandbox(name, body));
  if (flags.json === true) printJson(context, document);
  else printLines(context, renderDryRun(name, document));
}

type SandboxBody = ReturnType<typeof bodyOf>;

function bodyOf(flags: UpFlags) {
  return {
    forks: forksOf(flags.fork),
    ...(flags.key === undefined ? {} : { routingKey: flags.key }),
    ...(flags.label === undefined ? {} : { labels: { ...flags.label } }),
    ...(flags.onUnavailable === undefined ? {} : { onUnavailable: flags.onUnavailable }),
    ttl: {
      ...(flags.ttlIdle === undefined ? {} : { idle: flags.ttlIdle }),
      ...(flags.ttlSinceUpdate === undefined ? {} : { sinceUpdate: flags.ttlSinceUpdate }),
      ...(flags.ttlMax === undefined ? {} : { max: flags.ttlMax }),
    },
  };
}

/** The same workload twice is one fork with two endpoints. */
function forksOf(given: readonly ForkOption[]): { workload: string; endpoints: string[] }[] {
  const byWorkload = Map.groupBy(given, (fork) => fork.workload);
  return [...byWorkload].map(([workload, forks]) => ({
    workload,
    endpoints: forks.map((fork) => fork.endpoint),
  }));
}
