/** The command `npm run bench -- NAME`: runs one scenario and prints what it found. */
import { fileURLToPath } from "node:url";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { BenchError } from "./bench-error.ts";
import { comparedCases, FULL_SIZES } from "./compare/cases.ts";
import { PROGRAMS } from "./compare/contender.ts";
import { describeMachine } from "./host/machine.ts";
import { renderProfiles } from "./measure/read-profiles.ts";
import { writePlot, writeResult } from "./measure/result-file.ts";
import { renderFindings, runScenario, toResult } from "./run-scenario.ts";
import { type Effort, type ScenarioOptions, TRAFFICS, type Traffic } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

const RESULTS_FOLDER = fileURLToPath(new URL("./results", import.meta.url));

const PEERS = PROGRAMS.filter((program) => program !== "forklane") as readonly string[];

/** What a scenario takes that has no wish of its own. */
const EFFORT: Effort = { rounds: 5, seconds: 3 };

const SANDBOXES = 1_000;

/** Bounds of what the command line may ask for. */
const ROUNDS_MAX = 50;
const SECONDS_MAX = 60;
const SANDBOXES_MAX = 100_000;

/** A wrong command line; a run that failed exits 1. */
const USAGE_EXIT = 2;

/** The options as commander gives them. */
interface Flags {
  readonly short?: true;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly sandboxes: number;
  readonly traffic?: Traffic;
  readonly accessLog: boolean;
  readonly profile?: string | true;
  readonly only?: readonly string[];
  readonly peers: readonly string[];
  readonly build?: string;
  readonly also: Readonly<Record<string, string>>;
  readonly out?: string;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await benchCommand().parseAsync();

function benchCommand(): Command {
  const scenarios = Object.entries(SCENARIOS).map(([name, each]) => ({ name, ...each }));
  const cases = comparedCases({ sandboxes: SANDBOXES, ...FULL_SIZES });
  const help = `\nScenarios:\n${listed(scenarios)}\n\nCases of compare:\n${listed(cases)}`;
  return new Command("bench")
    .description("Runs one scenario on loopback and prints what it found.")
    .addArgument(new Argument("<scenario>").choices(Object.keys(SCENARIOS)))
    .option("--short", "one round of a second: shows that it runs, no figures worth reading")
    .option(
      "--rounds <n>",
      "how often each is measured (default: what the scenario needs)",
      wholeUpTo(ROUNDS_MAX),
    )
    .option(
      "--seconds <n>",
      "of one measurement (default: what the scenario needs)",
      wholeUpTo(SECONDS_MAX),
    )
    .option("--sandboxes <n>", "sandboxes in the tables", wholeUpTo(SANDBOXES_MAX), SANDBOXES)
    .addOption(new Option("--traffic <kind>", "only this one (default: both)").choices(TRAFFICS))
    .option(
      "--no-access-log",
      "Forklane without its access log (default: with it, as users have it)",
    )
    .option("--only <cases>", "compare: these cases, with commas (default: all)", listOf)
    .option("--peers <names>", "compare: with these of nginx, haproxy and envoy", peerList, PEERS)
    .option("--build <folder>", "compare: this build of Forklane (default: made of this checkout)")
    .option(
      "--also <name=folder>",
      "compare: a further build of Forklane; repeatable",
      addBuild,
      {},
    )
    .option("--profile [folder]", "write CPU profiles of the Forklane processes")
    .option("--out <folder>", "where the JSON goes (default: bench/results; --short: nowhere)")
    .addHelpText("after", help)
    .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : USAGE_EXIT))
    .action(runNamed);
}

function listed(things: readonly { readonly name: string; readonly about: string }[]): string {
  return things.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join("\n");
}

async function runNamed(name: string, flags: Flags): Promise<void> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) return;
  const options = toOptions(flags, scenario.effort ?? EFFORT);
  const startedAtMs = Date.now();
  const machine = describeMachine();
  try {
    const findings = await runScenario(scenario, options, say);
    process.stdout.write(renderFindings(findings, machine, options.short));
    if (options.profileFolder !== null)
      say(await renderProfiles(options.profileFolder, startedAtMs));
    const folder = flags.out ?? (options.short ? null : RESULTS_FOLDER);
    if (folder !== null) {
      say(`written: ${await writeResult(folder, toResult(name, options, machine, findings))}`);
      const { plot } = findings;
      if (plot !== undefined) say(`written: ${await writePlot(folder, name, plot)}`);
    }
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = 1;
  }
}

function toOptions(flags: Flags, effort: Effort): ScenarioOptions {
  const short = flags.short ?? false;
  return {
    short,
    rounds: short ? 1 : (flags.rounds ?? effort.rounds),
    seconds: short ? 1 : (flags.seconds ?? effort.seconds),
    sandboxes: flags.sandboxes,
    traffics: flags.traffic === undefined ? TRAFFICS : [flags.traffic],
    accessLog: flags.accessLog,
    profileFolder: profileFolderOf(flags.profile),
    compare: {
      only: flags.only ?? null,
      peers: flags.peers,
      build: flags.build ?? null,
      also: flags.also,
    },
  };
}

function listOf(text: string): string[] {
  return text.split(",").filter((item) => item !== "");
}

function peerList(text: string): string[] {
  const names = text === "none" ? [] : listOf(text);
  if (names.every((name) => PEERS.includes(name))) return names;
  throw new InvalidArgumentError(`They are ${PEERS.join(", ")}, or none.`);
}

/** The name becomes a part of file names. */
function addBuild(text: string, builds: Record<string, string>): Record<string, string> {
  const [, name, folder] = /^([a-z0-9-]{1,30})=(.+)$/.exec(text) ?? [];
  if (name !== undefined && folder !== undefined) return { ...builds, [name]: folder };
  throw new InvalidArgumentError("It is NAME=FOLDER, the name of a-z, 0-9 and -.");
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
