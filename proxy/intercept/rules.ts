import { CLOUD_METADATA } from "../../core/cloud-metadata.ts";

/**
 * Interception as data: settings in, rules out. Pure; apply.ts is what changes the kernel.
 *
 * Lines are in the form in which `iptables-save` prints them, so that what is wanted and what
 * stands there can be compared as text.
 */

/** What is to be intercepted, checked by the caller. */
export interface InterceptionSettings {
  /** Ports of the service next to the proxy, or every port. */
  readonly inboundPorts: readonly number[] | "all";
  readonly excludedInboundPorts: readonly number[];
  /** Whether the connections that the service opens are taken too. */
  readonly isOutbound: boolean;
  /** Ports and networks to which they are taken; `all` of one IP version if it has no network here. */
  readonly outboundPorts: readonly number[] | "all";
  readonly outboundCidrs: readonly string[] | "all";
  /** Networks that the service is left to reach by itself: `10.0.0.0/8`, `fd00::/8`. */
  readonly excludedOutboundCidrs: readonly string[];
  readonly excludedOutboundPorts: readonly number[];
  /** Where the proxy takes inbound connections. */
  readonly proxyPort: number;
  /** Where the proxy takes outbound ones. */
  readonly outboundPort: number;
  /** The proxy's own user: what it opens is never taken, or it would loop. */
  readonly uid: number;
}

/** IP version. */
export type Family = 4 | 6;

/** The rules of one IP version: chains of our own in the table `nat`, and the jumps to them. */
export interface RuleSet {
  readonly family: Family;
  readonly chains: readonly Chain[];
}

/** One chain of ours, and the built-in chain that jumps to it. */
export interface Chain {
  readonly name: string;
  readonly from: "PREROUTING" | "OUTPUT";
  /** `-A <name> ...`, in order. */
  readonly rules: readonly string[];
}

/** What all our chains begin with; nothing without this prefix is ever changed. */
export const CHAIN_PREFIX = "FORKLANE_";
/** The user that the proxy runs as in pods. */
export const PROXY_UID = 7470;
/** Ports of the proxy in pods: admin, inbound, outbound and room for more. */
export const PROXY_PORTS = { first: 19_470, last: 19_479, inbound: 19_471, outbound: 19_472 };

/** What a privileged process may set on a connection so that it is left alone. */
export const PROXY_MARK = "0x1d2e";

const SSH_PORT = 22;
/** Names are looked up by everybody, before anything that a proxy could know. */
const DNS_PORTS = [53, 853];
/**
 * Where the kernel tracked no connections before, the first rule makes it begin, and it takes those
 * that exist for new ones: redirected in their middle they would be reset.
 */
const NOT_OPENING = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";
/** Never a service: metadata of clouds, and neighbours on the same link. */
const LINK_LOCAL = { 4: "169.254.0.0/16", 6: "fe80::/10" } as const;

/** Makes the rules of one IP version. */
export function interceptionRules(settings: InterceptionSettings, family: Family): RuleSet {
  const { inboundPorts, isOutbound } = settings;
  const hasInbound = inboundPorts === "all" || inboundPorts.length > 0;
  const inbound = hasInbound ? [inboundChain(settings, family)] : [];
  return { family, chains: isOutbound ? [...inbound, outboundChain(settings, family)] : inbound };
}

/** The ports at which the proxy has to listen for these rules. */
export function proxyPorts(settings: InterceptionSettings): readonly number[] {
  const { inboundPorts, isOutbound, proxyPort, outboundPort } = settings;
  const inbound = inboundPorts === "all" || inboundPorts.length > 0 ? [proxyPort] : [];
  return isOutbound ? [...inbound, outboundPort] : inbound;
}

/**
 * The IP versions whose redirected connections find somebody who listens where they are led to;
 * `addressesAt` says where the proxy listens at one of its ports. REDIRECT leads what arrives to the
 * address of the interface that it came by, so that only who listens at all of them has it for
 * certain; what is sent from here it leads to loopback. `::` takes IPv4 as well: the proxy asks for
 * that, and the kernel's table of listeners does not tell.
 */
export function servedFamilies(
  settings: InterceptionSettings,
  addressesAt: (port: number) => readonly string[],
): Family[] {
  const { isOutbound, outboundPort } = settings;
  return ([4, 6] as const).filter((family) =>
    proxyPorts(settings).every((port) => {
      const loopback = isOutbound && port === outboundPort ? LOOPBACK[family] : [];
      const places = [...ANY_ADDRESS[family], ...loopback];
      return addressesAt(port).some((address) => places.includes(address));
    }),
  );
}

const ANY_ADDRESS: Readonly<Record<Family, readonly string[]>> = {
  4: ["0.0.0.0", "::"],
  6: ["::"],
};
const LOOPBACK: Readonly<Record<Family, readonly string[]>> = { 4: ["127.0.0.1"], 6: ["::1"] };

/** Whether connections to a port are never taken, whatever else is. */
export function isLeftAlone(
  settings: InterceptionSettings,
  from: Chain["from"],
  port: number,
): boolean {
  const { first, last } = PROXY_PORTS;
  if (port === SSH_PORT || (port >= first && port <= last)) return true;
  if (port === settings.proxyPort || port === settings.outboundPort) return true;
  if (from === "PREROUTING") return settings.excludedInboundPorts.includes(port);
  return DNS_PORTS.includes(port) || settings.excludedOutboundPorts.includes(port);
}

/** The rule by which a built-in chain hands connections to one of ours. */
export function jumpRule(chain: Pick<Chain, "name" | "from">): string {
  return `-A ${chain.from} -p tcp -j ${chain.name}`;
}

/**
 * Connections that arrive. What the machine sends to itself never passes PREROUTING as new, so the
 * proxy reaches its service, and a service itself, without a rule for it.
 */
function inboundChain(settings: InterceptionSettings, family: Family): Chain {
  const name = `${CHAIN_PREFIX}IN`;
  const returns = [
    NOT_OPENING,
    // What is only forwarded here is not for the service.
    "-m addrtype ! --dst-type LOCAL",
    `-d ${LINK_LOCAL[family]}`,
    ...untouchedPorts(settings),
    ...settings.excludedInboundPorts.map(toPort),
  ];
  const redirect = `-j REDIRECT --to-ports ${settings.proxyPort}`;
  const taken =
    settings.inboundPorts === "all" ? ["-p tcp"] : distinct(settings.inboundPorts).map(toPort);
  return {
    name,
    from: "PREROUTING",
    rules: [
      ...distinct(returns).map((match) => `-A ${name} ${match} -j RETURN`),
      ...taken.map((match) => `-A ${name} ${match} ${redirect}`),
    ],
  };
}

/** Connections that the service opens; not those to the machine itself, nor the proxy's own. */
function outboundChain(settings: InterceptionSettings, family: Family): Chain {
  const name = `${CHAIN_PREFIX}OUT`;
  const returns = [
    NOT_OPENING,
    `-m owner --uid-owner ${settings.uid}`,
    `-m mark --mark ${PROXY_MARK}`,
    "-m addrtype --dst-type LOCAL",
    `-d ${LINK_LOCAL[family]}`,
    `-d ${CLOUD_METADATA[family]}/${family === 4 ? 32 : 128}`,
    ...settings.excludedOutboundCidrs.filter((cidr) => familyOf(cidr) === family).map(toNetwork),
    ...untouchedPorts(settings),
    ...DNS_PORTS.map(toPort),
    ...settings.excludedOutboundPorts.map(toPort),
  ];
  return {
    name,
    from: "OUTPUT",
    rules: [
      ...distinct(returns).map((match) => `-A ${name} ${match} -j RETURN`),
      ...takenCalls(settings, family).map(
        (match) => `-A ${name} ${match} -j REDIRECT --to-ports ${settings.outboundPort}`,
      ),
    ],
  };
}

/** Each network with each port. */
function takenCalls(settings: InterceptionSettings, family: Family): string[] {
  const { outboundPorts, outboundCidrs } = settings;
  const ports = outboundPorts === "all" ? ["-p tcp"] : distinct(outboundPorts).map(toPort);
  if (outboundCidrs === "all") return ports;
  const networks = distinct(outboundCidrs).filter((cidr) => familyOf(cidr) === family);
  return networks.flatMap((cidr) => ports.map((port) => `${toNetwork(cidr)} ${port}`));
}

/** Whoever has locked himself out by a rule has to get in by ssh, or see the proxy's own state. */
function untouchedPorts(settings: InterceptionSettings): string[] {
  const { first, last } = PROXY_PORTS;
  const own = [settings.proxyPort, settings.outboundPort].filter((it) => it < first || it > last);
  return [toPort(SSH_PORT), `-p tcp -m tcp --dport ${first}:${last}`, ...own.map(toPort)];
}

function toPort(port: number): string {
  return `-p tcp -m tcp --dport ${port}`;
}

function toNetwork(cidr: string): string {
  const bits = familyOf(cidr) === 4 ? 32 : 128;
  return `-d ${cidr.includes("/") ? cidr : `${cidr}/${bits}`}`;
}

function familyOf(cidr: string): Family {
  return cidr.includes(":") ? 6 : 4;
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}

/** What stands in the kernel of ours, as far as `iptables-save` tells. */
export type RuleState =
  /** Nothing of ours. */
  | "absent"
  /** Chains and one jump to each. */
  | "in-place"
  /** Chains without jumps: connections go straight to the service. */
  | "aside"
  /** Anything else: left by a crash, or changed by hand. Applying again repairs it. */
  | "broken";

/** Rules of ours in a table as `iptables-save` prints it, in its order; chain lines not among them. */
export function ownRules(saved: string): string[] {
  return natLines(saved).filter((line) => line.startsWith("-A ") && OWN_NAME.test(line));
}

/** Our chains in a table as `iptables-save` prints it. */
export function ownChains(saved: string): string[] {
  return natLines(saved).flatMap((line) => OWN_CHAIN.exec(line)?.[1] ?? []);
}

/** Judges what stands there. */
export function ruleState(saved: string): RuleState {
  const chains = ownChains(saved);
  const rules = ownRules(saved);
  const jumps = jumpsOf(rules);
  if (chains.length === 0 && jumps.length === 0) return "absent";
  const isWhole = chains.every((chain) => rules.some((rule) => rule.startsWith(`-A ${chain} `)));
  if (!isWhole) return "broken";
  if (jumps.length === 0) return "aside";
  const isOneEach = chains.every(
    (chain) => jumps.filter((jump) => jump.endsWith(` -j ${chain}`)).length === 1,
  );
  return isOneEach && jumps.length === chains.length ? "in-place" : "broken";
}

/**
 * Writes the input of `iptables-restore --noflush` that makes the wanted rules stand, whatever stood
 * of ours before; it is carried out as a whole or not at all. Without `hasJumps` they stand aside.
 */
export function applyScript(wanted: RuleSet, saved: string, hasJumps: boolean): string {
  const names = wanted.chains.map((chain) => chain.name);
  const gone = ownChains(saved).filter((name) => !names.includes(name));
  return script([
    // A chain that is declared is emptied.
    ...[...names, ...gone].map((name) => `:${name} - [0:0]`),
    ...jumpsOf(ownRules(saved)).map(deleted),
    ...gone.map((name) => `-X ${name}`),
    ...wanted.chains.flatMap((chain) => chain.rules),
    ...(hasJumps ? wanted.chains.map(jumpRule) : []),
  ]);
}

/** Writes the input of `iptables-restore --noflush` that takes away all of ours and nothing else. */
export function removeScript(saved: string): string {
  const names = ownChains(saved);
  return script([
    ...names.map((name) => `:${name} - [0:0]`),
    ...jumpsOf(ownRules(saved)).map(deleted),
    ...names.map((name) => `-X ${name}`),
  ]);
}

/**
 * Writes the input of `iptables-restore --noflush` that makes ours stand as they stood in `before`,
 * whatever stands `now`.
 */
export function restoreScript(before: string, now: string): string {
  const names = ownChains(before);
  const gone = ownChains(now).filter((name) => !names.includes(name));
  return script([
    ...[...names, ...gone].map((name) => `:${name} - [0:0]`),
    ...jumpsOf(ownRules(now)).map(deleted),
    ...gone.map((name) => `-X ${name}`),
    ...ownRules(before),
  ]);
}

function script(lines: readonly string[]): string {
  return `${["*nat", ...lines, "COMMIT"].join("\n")}\n`;
}

/** Rules of other chains that lead to one of ours. */
function jumpsOf(rules: readonly string[]): string[] {
  return rules.filter((rule) => !rule.startsWith(`-A ${CHAIN_PREFIX}`));
}

function deleted(rule: string): string {
  return rule.replace(/^-A /, "-D ");
}

const OWN_CHAIN = new RegExp(`^:(${CHAIN_PREFIX}\\w+) `);
const OWN_NAME = new RegExp(`^-A ${CHAIN_PREFIX}|-[jg] ${CHAIN_PREFIX}`);

function natLines(saved: string): string[] {
  const lines = saved.split("\n");
  const start = lines.indexOf("*nat");
  return start < 0 ? [] : lines.slice(start + 1, lines.indexOf("COMMIT", start));
}
