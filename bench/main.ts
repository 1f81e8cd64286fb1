/** The command `npm run bench -- NAME`: runs one scenario and prints what it found. */
import { fileURLToPath } from "node:url";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { BenchError } from "./bench-error.ts";
import { describeMachine } from "./host/machine.ts";
import { renderProfiles } from "./measure/read-profiles.ts";
import { writeResult } from "./measure/result-file.ts";
import { renderFindings, runScenario, toResult } from "./run-scenario.ts";
import { type ScenarioOptions, TRAFFICS, type Traffic } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

const RESULTS_FOLDER = fileURLToPath(new URL("./results", import.meta.url));

/** Bounds of what the command line may ask for. */
const ROUNDS_MAX = 50;
const SECONDS_MAX = 60;
const SANDBOXES_MAX = 100_000;

/** A wrong command line; a run that failed exits 1. */
const USAGE_EXIT = 2;

/** The options as commander gives them. */
interface Flags {
  readonly short?: true;
  readonly rounds: number;
  readonly seconds: number;
  readonly sandboxes: number;
  readonly traffic?: Traffic;
  readonly accessLog: boolean;
  readonly profile?: string | true;
  readonly out?: string;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await benchCommand().parseAsync();

function benchCommand(): Command {
  const about = Object.entries(SCENARIOS).map(
    ([name, each]) => `  ${name.padEnd(12)} ${each.about}`,
  );
  return new Command("bench")
    .description("Runs one scenario on loopback and prints what it found.")
    .addArgument(new Argument("<scenario>").choices(Object.keys(SCENARIOS)))
    .option("--short", "one round of a second: shows that it runs, no figures worth reading")
    .option("--rounds <n>", "how often each thing is measured", wholeUpTo(ROUNDS_MAX), 5)
    .option("--seconds <n>", "length of one measurement", wholeUpTo(SECONDS_MAX), 3)
    .option("--sandboxes <n>", "sandboxes in the tables", wholeUpTo(SANDBOXES_MAX), 1_000)
    .addOption(new Option("--traffic <kind>", "only this one (default: both)").choices(TRAFFICS))
    .option(
      "--no-access-log",
      "Forklane without its access log (default: with it, as users have it)",
    )
    .option("--profile [folder]", "write CPU profiles of the Forklane processes")
    .option("--out <folder>", "where the JSON goes (default: bench/results; --short: nowhere)")
    .addHelpText("after", `\nScenarios:\n${about.join("\n")}`)
    .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : USAGE_EXIT))
    .action(runNamed);
}

async function runNamed(name: string, flags: Flags): Promise<void> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) return;
  const options = toOptions(flags);
  const startedAtMs = Date.now();
  const machine = describeMachine();
  try {
    const findings = await runScenario(scenario, options, say);
    process.stdout.write(renderFindings(findings, machine, options.short));
    if (options.profileFolder !== null)
      say(await renderProfiles(options.profileFolder, startedAtMs));
    const folder = flags.out ?? (options.short ? null : RESULTS_FOLDER);
    if (folder !== null)
      say(`written: ${await writeResult(folder, toResult(name, options, machine, findings))}`);
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = 1;
  }
}

function toOptions(flags: Flags): ScenarioOptions {
  const short = flags.short ?? false;
  return {
    short,
    rounds: short ? 1 : flags.rounds,
    seconds: short ? 1 : flags.seconds,
    sandboxes: flags.sandboxes,
    traffics: flags.traffic === undefined ? TRAFFICS : [flags.traffic],
    accessLog: flags.accessLog,
    profileFolder: profileFolderOf(flags.profile),
  };
}

function profileFolderOf(flag: Flags["profile"]): string | null {
  if (flag === undefined) return null;
  return flag === true ? RESULTS_FOLDER : flag;
}

function wholeUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= max) return value;
    throw new InvalidArgumentError(`It is a whole number from 1 to ${max}.`);
  };
}

/** Progress goes to the error output, so that the table alone can be kept. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
