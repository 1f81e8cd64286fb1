import { Command, InvalidArgumentError, Option } from "commander";
import { parseNetworks } from "../../core/networks.ts";
import {
  applyPlan,
  FAMILIES,
  type InterceptStatus,
  needPrivilege,
  type Plan,
  planInterception,
  readInterception,
  removeInterception,
} from "../../proxy/intercept/apply.ts";
import { InterceptError } from "../../proxy/intercept/intercept-error.ts";
import type { BackendName } from "../../proxy/intercept/iptables.ts";
import { type LockUse, RuleLock } from "../../proxy/intercept/rule-lock.ts";
import {
  type Family,
  type InterceptionSettings,
  PROXY_PORTS,
  PROXY_UID,
} from "../../proxy/intercept/rules.ts";
import { type Standing, SteppingRules } from "../../proxy/intercept/step-aside.ts";
import { CliError } from "../cli-error.ts";
import { type CliContext, printJson, printLines } from "../context.ts";
import { printable } from "../printable.ts";

interface InterceptFlags {
  readonly inboundPorts?: readonly number[] | "all";
  readonly excludeInboundPorts: readonly number[];
  readonly outbound?: boolean;
  readonly outboundPorts: readonly number[] | "all";
  readonly outboundCidrs: readonly string[] | "all";
  readonly excludeOutboundCidrs: readonly string[];
  readonly excludeOutboundPorts: readonly number[];
  readonly proxyPort: number;
  readonly outboundPort: number;
  readonly uid: number;
  readonly backend: BackendName | "auto";
  readonly fail: "closed" | "open";
  readonly remove?: boolean;
  readonly status?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const EXAMPLE = `
  forklane intercept --inbound-ports 8080,8081 --dry-run
  forklane intercept --inbound-ports 8080,8081
  forklane intercept --status
  forklane intercept --remove

With --fail open it stays in the foreground, lets the rules step aside while the proxy
does not listen, and takes them away when it is stopped.`;

/** `forklane intercept` */
export function interceptCommand(context: CliContext): Command {
  return new Command("intercept")
    .option("--inbound-ports <ports>", "ports of the service, as in 8080,8081, or all", readInbound)
    .option("--exclude-inbound-ports <ports>", "ports to leave alone", readPorts, [])
    .option("--outbound", "take the connections that the service opens, too")
    .option("--outbound-ports <ports>", "only calls to these, as in 80,8080", readInbound, "all")
    .option("--outbound-cidrs <cidrs>", "only calls to these networks", readNetworks, "all")
    .option("--exclude-outbound-cidrs <cidrs>", "networks to leave alone", readCidrs, [])
    .option("--exclude-outbound-ports <ports>", "ports to leave alone", readPorts, [])
    .option("--proxy-port <port>", "where the proxy listens", readPort, PROXY_PORTS.inbound)
    .option("--outbound-port <port>", "where it takes calls", readPort, PROXY_PORTS.outbound)
    .option("--uid <id>", "the proxy's user, whose connections are never taken", readUid, PROXY_UID)
    .addOption(oneOf("--backend <name>", "which iptables", ["auto", "nft", "legacy"]))
    .addOption(oneOf("--fail <how>", "when the proxy is down: refuse, or pass", ["closed", "open"]))
    .option("--remove", "take away all rules of ours, and nothing else")
    .option("--status", "show what stands here of ours; exit 1 unless it is whole")
    .option("--dry-run", "print what iptables-restore would be given; change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLE)
    .action((flags: InterceptFlags) => intercept(context, flags));
}

async function intercept(context: CliContext, flags: InterceptFlags): Promise<void> {
  try {
    // A wrong flag is said before the machine is looked at.
    if (flags.remove !== true && flags.status !== true) settingsOf(flags);
    if (flags.remove === true) await changing(context, "once", () => remove(context, flags));
    else if (flags.status === true) showStatus(context, flags);
    else if (flags.dryRun === true) showPlan(context, flags, planOf(flags), false);
    else if (flags.fail === "open")
      await changing(context, "watching", () => stepAside(context, flags));
    else await changing(context, "once", () => apply(context, flags));
  } catch (error) {
    if (!(error instanceof InterceptError)) throw error;
    throw new CliError(error.code, error.message, { fix: error.fix, cause: error });
  }
}

/** Nobody else of ours changes rules here meanwhile. */
async function changing(
  context: CliContext,
  use: LockUse,
  change: () => void | Promise<void>,
): Promise<void> {
  needPrivilege();
  const lock = await RuleLock.take(use);
  if (lock.warning !== null) context.stderr.write(`forklane: ${lock.warning}\n`);
  try {
    await change();
  } finally {
    lock.release();
  }
}

function apply(context: CliContext, flags: InterceptFlags): void {
  const plan = planOf(flags);
  applyPlan(plan);
  showPlan(context, flags, plan, true);
}

function planOf(flags: InterceptFlags): Plan {
  return planInterception(settingsOf(flags), { backend: flags.backend, taken: FAMILIES });
}

function settingsOf(flags: InterceptFlags): InterceptionSettings {
  const { inboundPorts, outbound = false } = flags;
  if (inboundPorts === undefined && !outbound) {
    const fix = "give --inbound-ports 8080, --outbound, or both";
    throw new CliError("usage", "there is nothing to intercept", { fix });
  }
  if (flags.proxyPort === flags.outboundPort) {
    throw new CliError("usage", "--proxy-port and --outbound-port are the same port");
  }
  return {
    inboundPorts: inboundPorts ?? [],
    excludedInboundPorts: flags.excludeInboundPorts,
    isOutbound: outbound,
    outboundPorts: flags.outboundPorts,
    outboundCidrs: flags.outboundCidrs,
    excludedOutboundCidrs: flags.excludeOutboundCidrs,
    excludedOutboundPorts: flags.excludeOutboundPorts,
    proxyPort: flags.proxyPort,
    outboundPort: flags.outboundPort,
    uid: flags.uid,
  };
}

function showPlan(context: CliContext, flags: InterceptFlags, plan: Plan, isDone: boolean): void {
  const { scripts, notes } = plan;
  const backend = plan.backend.name;
  if (flags.json === true) {
    printJson(context, { applied: isDone, backend, scripts, notes });
    return;
  }
  const families = scripts.map(({ family }) => `IPv${family}`).join(" and ");
  const lines = isDone
    ? [`rules for ${families} are in place (iptables-${backend})`]
    : scripts.flatMap(({ family, script }) => [
        `# ${plan.backend.program[family]}-restore --noflush`,
        ...script.trimEnd().split("\n"),
      ]);
  printLines(context, [...lines, ...notes.map((note) => `# ${note}`)].map(printable));
}

function remove(context: CliContext, flags: InterceptFlags): void {
  const removed = removeInterception();
  if (flags.json === true) printJson(context, { removed });
  else if (removed.length === 0) printLines(context, ["there were no rules of ours"]);
  else
    printLines(
      context,
      removed.map(({ backend }) => `rules are removed (iptables-${backend})`),
    );
}

/** A script waits for exit 0: everything is in place. */
function showStatus(context: CliContext, flags: InterceptFlags): void {
  const statuses = readInterception();
  const isWhole = statuses.length === 1 && statuses[0]?.state === "in-place";
  context.exitCode = isWhole ? 0 : 1;
  if (flags.json === true) printJson(context, { statuses });
  else if (statuses.length === 0) printLines(context, ["absent: there are no rules of ours"]);
  else printLines(context, statuses.flatMap(renderStatus).map(printable));
}

function renderStatus({ backend, state, families }: InterceptStatus): string[] {
  return [
    `${state} (iptables-${backend})`,
    ...families.flatMap(({ family, state, rules }) => [
      `  IPv${family}: ${state}`,
      ...rules.map((rule) => `    ${rule}`),
    ]),
  ];
}

/** Whoever ends it: a process manager, a key, a terminal that is closed. */
const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Runs until it is told to stop; then nobody would look any more, so the rules are taken away. Told
 * while it writes or removes rules it does that to the end first: no signal ends it by itself.
 */
async function stepAside(context: CliContext, flags: InterceptFlags): Promise<void> {
  const stop = Promise.withResolvers<void>();
  for (const signal of STOP_SIGNALS) process.on(signal, stop.resolve);
  const rules = new SteppingRules(
    settingsOf(flags),
    flags.backend,
    (standing) => printLines(context, [printable(standingOf(standing))]),
    (error) => stop.reject(error),
  );
  const end = (): void => {
    process.off("exit", end);
    rules.stop();
    removeInterception();
  };
  // Output that nobody reads any more, or a bug, ends the process elsewhere.
  process.on("exit", end);
  try {
    rules.start();
    await stop.promise;
    end();
  } catch (error) {
    // What was thrown by the start has changed nothing.
    if (rules.isStarted) end();
    throw error;
  } finally {
    process.off("exit", end);
    for (const signal of STOP_SIGNALS) process.off(signal, stop.resolve);
  }
}

function standingOf({ inPlace, aside, note }: Standing): string {
  const versions = (families: readonly Family[]) => families.map((it) => `IPv${it}`).join(" and ");
  if (note === null) return inPlace.length > 0 ? "in place" : "aside: the proxy is not there";
  if (inPlace.length === 0) return `aside: ${note}`;
  return `in place for ${versions(inPlace)}, aside for ${versions(aside)}: ${note}`;
}

function oneOf(words: string, description: string, choices: readonly string[]): Option {
  return new Option(words, description).choices(choices).default(choices[0]);
}

/** Rules per port and family: more would be a mistake, and slow. */
const PORTS_MAX = 256;

function readInbound(text: string): readonly number[] | "all" {
  return text === "all" ? text : readPorts(text);
}

function readPorts(text: string): readonly number[] {
  const ports = text.split(",").map((port) => readPort(port.trim()));
  if (ports.length <= PORTS_MAX) return ports;
  throw new InvalidArgumentError(`There are ${ports.length} ports; at most ${PORTS_MAX} can be.`);
}

function readPort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("A port is 1 to 65535.");
}

function readUid(text: string): number {
  const uid = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  if (uid >= 1 && uid < 2 ** 32 - 1) return uid;
  throw new InvalidArgumentError(
    "It is a user's number above 0: root's connections are everybody's.",
  );
}

function readNetworks(text: string): readonly string[] | "all" {
  return text === "all" ? text : readCidrs(text);
}

function readCidrs(text: string): readonly string[] {
  const cidrs = text.split(",").map((cidr) => cidr.trim());
  const networks = parseNetworks(cidrs);
  if (!networks.ok) throw new InvalidArgumentError(`${networks.error}.`);
  return cidrs;
}
