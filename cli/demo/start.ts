import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CliError } from "../cli-error.ts";
import { DEFAULT_CONTROL } from "../config.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import type { Examined } from "../doctor/examine.ts";
import { renderVerdict } from "../doctor/render-verdict.ts";
import { type BrokenClient, callerOf, formatBreak } from "./broken-client.ts";
import { Children } from "./children.ts";
import { collectEvidence, forkReady } from "./evidence.ts";
import { checkFound, examineShop, shopEntry } from "./examine-shop.ts";
import { chooseDemoPorts, type DemoPorts } from "./ports.ts";
import {
  breakClient,
  CLI_SCRIPT,
  CONTROL_NAME,
  controlUrl,
  PROXIES_COUNT,
  SERVICES_COUNT,
  startControlAndServices,
  startProxies,
} from "./processes.ts";
import { createProgress, type Progress } from "./progress.ts";
import { type DemoEvidence, findFlaws } from "./proof.ts";
import { commandToRepeat, renderNext, renderPlace, renderProof } from "./screen.ts";
import { workloadOf } from "./shop.ts";
import { StopRequest } from "./stop-request.ts";

/** What `forklane start` is told. */
export interface StartOptions {
  /** Prove the claim and end. */
  readonly once: boolean;
  /** First of the ports to use; null: the usual ones, or free ones. */
  readonly portBase: number | null;
  /** File of control's store; null: `forklane.db` here, with `once` in a temporary folder. */
  readonly data: string | null;
  /** The client to break once the claim is proved, for the doctor to find; null: none. */
  readonly broken: BrokenClient | null;
  readonly json: boolean;
}

/** Everything that the demo holds while it runs. */
interface Demo {
  readonly context: CliContext;
  readonly options: StartOptions;
  readonly children: Children;
  readonly progress: Progress;
  readonly ports: DemoPorts;
  readonly dataFile: string;
  /** Aborted when it ends, so that nothing goes on waiting. */
  readonly signal: AbortSignal;
}

const DATA_FILE = "forklane.db";

/**
 * THE MAIN JOB on one machine: starts everything, forks one service, sends the same request three
 * times, and proves who served it. Then stays until it is told to stop, or ends with `once`.
 *
 * Throws `proof-failed` naming what was wrong, and `child-died` when a process ends by itself.
 */
export async function start(context: CliContext, options: StartOptions): Promise<void> {
  const ports = await chooseDemoPorts(options.portBase);
  const { dataFile, temporary } = await chooseDataFile(options);
  const children = new Children();
  const abort = new AbortController();
  const stopRequest = new StopRequest(() => children.kill());
  const progress = createProgress(context);
  const { signal } = abort;
  const demo: Demo = { context, options, children, progress, ports, dataFile, signal };
  try {
    const isProved = await Promise.race([prove(demo), children.death, stopRequest.begun]);
    if (isProved === null) throw new CliError("failed", "stopped before the proof was complete");
    if (!options.once) await Promise.race([children.death, stopRequest.begun]);
  } finally {
    abort.abort();
    progress.step("stopping");
    await children.stop((name) => name !== CONTROL_NAME);
    await children.stop();
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
    progress.end();
    stopRequest.close();
  }
}

/** Starts what has to run, in the order that it needs, and shows the proof. */
async function prove(demo: Demo): Promise<true> {
  const { children, progress, ports } = demo;
  progress.step(`starting control and ${SERVICES_COUNT} services`);
  await startControlAndServices(children, ports, demo.dataFile, demo.signal);
  progress.step(`starting ${PROXIES_COUNT} proxies`);
  await startProxies(children, ports, demo.signal);
  progress.step("forking shop/pricing in a sandbox");
  const readyMs = await forkReady(ports);
  progress.step("sending the request untagged, as the control arm, and tagged");
  const evidence = await collectEvidence(ports);
  progress.end();
  show(demo, evidence, readyMs);
  const { broken, json, once } = demo.options;
  const examined = broken === null ? null : await breakAndExamine(demo, broken);
  const found = examined === null ? {} : { doctor: { broken, ...examined } };
  if (json) printJson(demo.context, { proved: true, ports, readyMs, ...evidence, ...found });
  else if (!once) printLines(demo.context, nextSteps(ports));
  return true;
}

/** Replaces a service by one that loses the tag, and shows what the doctor makes of it. */
async function breakAndExamine(demo: Demo, broken: BrokenClient): Promise<Examined> {
  const { context, children, progress, ports, signal, options } = demo;
  progress.step(`replacing ${callerOf(broken.callee)} by one with a broken client`);
  await breakClient(children, ports, broken, signal);
  progress.step("asking the doctor");
  const examined = await examineShop(ports);
  progress.end();
  if (!options.json) printLines(context, renderExamined(demo, broken, examined));
  checkFound(broken, examined);
  return examined;
}

function renderExamined(
  { context, ports }: Demo,
  broken: BrokenClient,
  { verdict }: Examined,
): string[] {
  const caller = workloadOf(callerOf(broken.callee));
  const command = commandToRepeat(CLI_SCRIPT, process.execPath, process.cwd());
  const again = `${command} doctor propagation --entry ${shopEntry(ports).href}${controlOption(ports)}`;
  const words = { requests: "probes", again, hasColor: context.stdoutTerminal.hasColor };
  return [
    "",
    `${caller} replaced by one with --break ${formatBreak(broken)}; the doctor says:`,
    "",
    ...renderVerdict(verdict, words),
  ];
}

function controlOption(ports: DemoPorts): string {
  return controlUrl(ports) === DEFAULT_CONTROL ? "" : ` --control ${controlUrl(ports)}`;
}

/** Prints the proof, or throws it as a failure. */
function show(demo: Demo, evidence: DemoEvidence, readyMs: number): void {
  const { context, options, ports, dataFile } = demo;
  const flaws = findFlaws(evidence);
  if (!options.json) {
    printLines(context, [
      ...renderPlace(ports, dataFile, readyMs),
      ...renderProof(evidence, flaws, context.stdoutTerminal),
    ]);
  }
  if (flaws.length > 0) throw new CliError("proof-failed", flaws.join("; "));
}

function nextSteps(ports: DemoPorts): string[] {
  const command = commandToRepeat(CLI_SCRIPT, process.execPath, process.cwd());
  return renderNext(ports, command, controlUrl(ports) === DEFAULT_CONTROL);
}

async function chooseDataFile(
  options: StartOptions,
): Promise<{ dataFile: string; temporary: string | null }> {
  if (options.data === null && options.once) {
    const temporary = await mkdtemp(join(tmpdir(), "forklane-"));
    return { dataFile: join(temporary, DATA_FILE), temporary };
  }
  const dataFile = resolve(options.data ?? DATA_FILE);
  await checkWritable(dirname(dataFile));
  return { dataFile, temporary: null };
}

async function checkWritable(folder: string): Promise<void> {
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    const fix = "name another file with --data FILE";
    throw new CliError("usage", `cannot write in ${folder}`, { fix, cause });
  }
}
