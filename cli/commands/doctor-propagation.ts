import { Command, InvalidArgumentError } from "commander";
import { CliError } from "../cli-error.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { addControlOptions, type ControlFlags } from "../control-options.ts";
import { type Examination, type Examined, examine, RUN_MS_MAX } from "../doctor/examine.ts";
import { renderVerdict } from "../doctor/render-verdict.ts";
import { durationMs, readDuration, readRequestUrl, readTag } from "../option-values.ts";
import { toTag } from "../tag.ts";
import { formFor, type TagAs, tagAsOption } from "../tag-form.ts";

interface DoctorFlags extends ControlFlags {
  readonly entry?: URL;
  readonly key?: string;
  readonly probes: number;
  readonly observe?: string;
  readonly timeout: string;
  readonly tagAs: TagAs;
}

/** Probes of one examination: chance is ruled out with far fewer. */
const PROBES_MAX = 50;

/** After the last probe: work that a service does later shows itself. */
const OBSERVE_AFTER = "500ms";

const EXAMPLE = `
Sends a few requests tagged with a control arm, so no fork is needed, and says for each
edge whether the tag arrives. Without --entry it judges the tagged requests of others.
Exit 0: every tag arrived, on the edges that were taken. 1: a hop loses it, or too little
was seen to rule that out.

  forklane doctor propagation --entry http://127.0.0.1:8080/checkout
  forklane doctor propagation --observe 30s`;

/** `forklane doctor propagation` */
export function doctorPropagationCommand(context: CliContext): Command {
  const command = new Command("propagation")
    .option("--entry <url>", "where the probes go in, by GET", readRequestUrl)
    .option("--key <key>", "tag of the probes (default: the control arm of a sandbox)", readTag)
    .option("--probes <count>", `how many, 1 to ${PROBES_MAX}`, readProbes, 5)
    .option(
      "--observe <duration>",
      `how long to observe, at most 5m; with --entry after the last probe (default: ${OBSERVE_AFTER})`,
      readDuration,
    )
    .addOption(tagAsOption())
    .option("--timeout <duration>", "for the answer to one probe", readDuration, "10s")
    .addHelpText("after", EXAMPLE);
  return addControlOptions(command, context).action((flags: DoctorFlags) => doctor(context, flags));
}

async function doctor(context: CliContext, flags: DoctorFlags): Promise<void> {
  const examined = await examine(await readFlags(flags));
  const { verdict } = examined;
  context.exitCode = verdict.verdict === "healthy" ? 0 : 1;
  if (flags.json === true) printJson(context, { ...examined, exit: context.exitCode });
  else printLines(context, render(context, flags, examined));
}

async function readFlags(flags: DoctorFlags): Promise<Examination> {
  const { entry, observe } = flags;
  if (entry === undefined && (observe === undefined || flags.key !== undefined)) {
    const fix = "name an --entry for probes, or only --observe to judge the requests of others";
    throw new CliError("usage", "there is nothing to examine", { fix });
  }
  const observeMs = durationMs(observe ?? OBSERVE_AFTER);
  if (observeMs > RUN_MS_MAX) {
    throw new CliError("usage", `--observe ${observe} is more than 5m`, {
      fix: "give a shorter one",
    });
  }
  return {
    control: flags.control,
    entry: entry ?? null,
    tag: flags.key === undefined ? null : toTag(flags.key, true),
    tagAs: entry === undefined ? "baggage" : await formFor(flags.tagAs, entry, flags.control),
    probes: flags.probes,
    observeMs,
    timeoutMs: durationMs(flags.timeout),
  };
}

function render(context: CliContext, flags: DoctorFlags, { verdict }: Examined): string[] {
  const { entry, observe } = flags;
  const again = entry === undefined ? `--observe ${observe}` : `--entry ${entry.href}`;
  return renderVerdict(verdict, {
    requests: entry === undefined ? "requests" : "probes",
    again: `forklane doctor propagation ${again}`,
    hasColor: context.stdoutTerminal.hasColor,
  });
}

function readProbes(text: string): number {
  const count = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= PROBES_MAX) return count;
  throw new InvalidArgumentError(`It is a number from 1 to ${PROBES_MAX}.`);
}
