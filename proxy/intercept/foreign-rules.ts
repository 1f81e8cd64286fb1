/** Who else redirects connections here, read from what `iptables-save` prints. Pure. */
import { CHAIN_PREFIX, type InterceptionSettings } from "./rules.ts";

/** Somebody else who redirects connections here. */
export interface Foreign {
  readonly name: string;
  /** The line of `iptables-save` that gives it away. */
  readonly rule: string;
}

/** Meshes by the chains that they make, and by the ports that they redirect to. */
const MESHES: readonly { readonly name: string; readonly sign: RegExp }[] = [
  { name: "Istio", sign: /\bISTIO_[A-Z_]+|--(?:to|on)-ports? 1500[16]\b/ },
  { name: "Linkerd", sign: /\bPROXY_INIT_[A-Z_]+/ },
  { name: "Consul", sign: /\bCONSUL_PROXY_[A-Z_]+|\bCONSUL_DNS_[A-Z_]+/ },
  { name: "Kuma", sign: /\bKUMA_MESH_[A-Z_]+/ },
];

/** Networks and platforms by the chains in which their redirects stand. */
const OWNERS: readonly { readonly name: string; readonly chain: RegExp }[] = [
  { name: "kube-proxy", chain: /^KUBE-/ },
  { name: "the CNI plugin portmap", chain: /^CNI-/ },
  { name: "Calico", chain: /^cali-/ },
  { name: "Cilium", chain: /^(?:OLD_)?CILIUM_/ },
  { name: "Docker", chain: /^DOCKER/ },
  { name: "Podman", chain: /^NETAVARK-/ },
];

const OWN_LINE = new RegExp(`^[:]${CHAIN_PREFIX}|^-A ${CHAIN_PREFIX}|-[jg] ${CHAIN_PREFIX}`);
const REDIRECT = /^(?:REDIRECT|DNAT|TPROXY)$/;

/** Finds who redirects already what we would; `saved` is all tables as `iptables-save` prints them. */
export function foreignRules(saved: string, settings: InterceptionSettings): Foreign[] {
  const lines = saved.split("\n").filter((line) => !OWN_LINE.test(line));
  const rules = lines.filter((line) => /^(?:-A|:)/.test(line));
  const meshes = MESHES.flatMap(({ name, sign }) => {
    const rule = rules.find((line) => sign.test(line));
    return rule === undefined ? [] : [{ name, rule }];
  });
  if (meshes.length > 0) return meshes;
  return tablesOf(lines).flatMap((chains) => {
    const taking = [
      redirectIn(chains, FIRST_CHAIN, false, settings, new Set()),
      settings.isOutbound ? (chains.get("OUTPUT")?.find(takesCalls) ?? null) : null,
    ];
    return taking.flatMap((rule) => (rule === null ? [] : [{ name: ownerOf(rule), rule }]));
  });
}

/** Whoever redirects what this machine sends, wherever to, would have it before us or after. */
function takesCalls(rule: string): boolean {
  if (/ -d | -p (?!tcp\b)/.test(rule)) return false;
  return REDIRECT.test(/-j (\S+)/.exec(rule)?.[1] ?? "");
}

/** What arrives passes it first, in each table. */
const FIRST_CHAIN = "PREROUTING";

function ownerOf(rule: string): string {
  const chain = chainOf(rule) ?? "";
  return OWNERS.find((owner) => owner.chain.test(chain))?.name ?? "a rule";
}

function chainOf(rule: string): string | undefined {
  return /^-A (\S+)/.exec(rule)?.[1];
}

/** The rules of each chain of each table. */
function tablesOf(lines: readonly string[]): Map<string, string[]>[] {
  const tables: Map<string, string[]>[] = [];
  for (const line of lines) {
    if (line.startsWith("*")) tables.push(new Map());
    const chain = chainOf(line);
    if (chain === undefined) continue;
    const chains = tables.at(-1);
    chains?.set(chain, [...(chains.get(chain) ?? []), line]);
  }
  return tables;
}

/**
 * Follows jumps to a redirect of a port that we were told to take: only one of the two could work.
 * `isOurPort`: a rule on the way has named it. One that names no port takes all where it stands first;
 * deeper down something else decides, such as the address of a Service, which is none of ours.
 */
function redirectIn(
  chains: ReadonlyMap<string, readonly string[]>,
  chain: string,
  isOurPort: boolean,
  settings: InterceptionSettings,
  seen: Set<string>,
): string | null {
  const place = `${chain} ${isOurPort}`;
  if (seen.has(place)) return null;
  seen.add(place);
  for (const rule of chains.get(chain) ?? []) {
    const isTaken = takesPort(rule, settings);
    if (isTaken === false) continue;
    const isNamed = isOurPort || isTaken === true;
    const target = /-[jg] (\S+)/.exec(rule)?.[1] ?? "";
    const isForOne = /(?<! !) -d /.test(rule);
    if (REDIRECT.test(target)) {
      if (isNamed || (chain === FIRST_CHAIN && !isForOne)) return rule;
    } else if (!isForOne) {
      const found = redirectIn(chains, target, isNamed, settings, seen);
      if (found !== null) return found;
    }
  }
  return null;
}

/** Whether a rule names a port that we were told to take; null where it names none at all. */
function takesPort(rule: string, settings: InterceptionSettings): boolean | null {
  if (/ -p (?!tcp\b)/.test(rule)) return false;
  const ports = /(?<! !) --dports? ([0-9:,]+)/.exec(rule)?.[1];
  if (ports === undefined) return null;
  return ports.split(",").some((range) => {
    const [first = 0, last = first] = range.split(":").map(Number);
    return isTakenBetween(first, last, settings);
  });
}

function isTakenBetween(
  first: number,
  last: number,
  { inboundPorts, excludedInboundPorts }: InterceptionSettings,
): boolean {
  if (inboundPorts === "all") return first < last || !excludedInboundPorts.includes(first);
  return inboundPorts.some((port) => port >= first && port <= last);
}
