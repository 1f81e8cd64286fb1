/** Who else redirects connections here, read from what `iptables-save` and `nft` print. Pure. */
import { CHAIN_PREFIX, type InterceptionSettings, isLeftAlone } from "./rules.ts";

/** Somebody else who redirects connections here. */
export interface Foreign {
  readonly name: string;
  /** The line of `iptables-save` that gives it away. */
  readonly rule: string;
}

/** Meshes by the chains that they make; of one that has others, by the ports that Envoy is given. */
const MESHES: readonly { readonly name: string; readonly sign: RegExp }[] = [
  { name: "Istio", sign: /\bISTIO_[A-Z_]+/ },
  { name: "Linkerd", sign: /\bPROXY_INIT_[A-Z_]+/ },
  { name: "Consul", sign: /\bCONSUL_PROXY_[A-Z_]+|\bCONSUL_DNS_[A-Z_]+/ },
  { name: "Kuma", sign: /\bKUMA_MESH_[A-Z_]+/ },
  { name: "AWS App Mesh", sign: /\bAPPMESH_[A-Z_]+/ },
  { name: "a mesh", sign: /--(?:to|on)-ports? 1500[16]\b/ },
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
  for (const { name, sign } of MESHES) {
    const rule = rules.find((line) => sign.test(line));
    if (rule !== undefined) return [{ name, rule }];
  }
  return redirectsIn(lines, settings).map(({ rule }) => ({ name: ownerOf(rule), rule }));
}

/**
 * The same of rules that are none of iptables'; `listed` is what `nft -j list ruleset` prints. What
 * iptables wrote is left to the other function; what jumps by a map is not followed.
 */
export function foreignNftRules(listed: string, settings: InterceptionSettings): Foreign[] {
  const lines = nftLines(listed).filter((line) => !OWN_LINE.test(line));
  return redirectsIn(lines, settings).map(({ table, rule }) => {
    const [, chain = "", number = ""] = / --in (\S+) --handle (\d+)$/.exec(rule) ?? [];
    return { name: `the nftables table ${table}`, rule: `chain ${chain} handle ${number}` };
  });
}

/** The first redirect of each direction in each table that takes what we were told to take. */
function redirectsIn(
  lines: readonly string[],
  settings: InterceptionSettings,
): { readonly table: string; readonly rule: string }[] {
  const hooks = settings.isOutbound ? (["PREROUTING", "OUTPUT"] as const) : ["PREROUTING" as const];
  return tablesOf(lines).flatMap(({ name: table, chains }) =>
    hooks.flatMap((hook) => {
      const rule = redirectIn({ chains, hook, settings }, hook, false, new Set());
      return rule === null ? [] : [{ table, rule }];
    }),
  );
}

function ownerOf(rule: string): string {
  const chain = chainOf(rule) ?? "";
  return OWNERS.find((owner) => owner.chain.test(chain))?.name ?? "a rule";
}

function chainOf(rule: string): string | undefined {
  return /^-A (\S+)/.exec(rule)?.[1];
}

interface Table {
  readonly name: string;
  /** The rules of each chain. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

function tablesOf(lines: readonly string[]): Table[] {
  const tables: { name: string; chains: Map<string, string[]> }[] = [];
  for (const line of lines) {
    if (line.startsWith("*")) tables.push({ name: line.slice(1), chains: new Map() });
    const chain = chainOf(line);
    if (chain === undefined) continue;
    const chains = tables.at(-1)?.chains;
    chains?.set(chain, [...(chains.get(chain) ?? []), line]);
  }
  return tables;
}

/** Where redirects are looked for: from what is asked first of what arrives, or of what is sent. */
interface Way {
  readonly chains: Table["chains"];
  readonly hook: "PREROUTING" | "OUTPUT";
  readonly settings: InterceptionSettings;
}

/**
 * Follows jumps to a redirect of what we were told to take: only one of the two could work.
 * `isOurPort`: a rule on the way has named it. Of what arrives, one that names no port takes all where
 * it stands first; deeper down something else decides, such as the address of a Service, which is none
 * of ours. Of what is sent, one that names no address takes it wherever it goes.
 */
function redirectIn(way: Way, chain: string, isOurPort: boolean, seen: Set<string>): string | null {
  const place = `${chain} ${isOurPort}`;
  if (seen.has(place)) return null;
  seen.add(place);
  for (const rule of way.chains.get(chain) ?? []) {
    if (way.hook === "OUTPUT" && STAYS_HERE.test(rule)) continue;
    const isTaken = takesPort(rule, way);
    if (isTaken === false) continue;
    const isNamed = isOurPort || isTaken === true;
    const target = /-[jg] (\S+)/.exec(rule)?.[1] ?? "";
    const isForOne = FOR_ONE.test(rule);
    if (REDIRECT.test(target)) {
      const takesAll = (way.hook === "OUTPUT" || chain === way.hook) && !isForOne;
      if (takesAll || (way.hook === "PREROUTING" && isNamed)) return rule;
    } else if (!isForOne) {
      const found = redirectIn(way, target, isNamed, seen);
      if (found !== null) return found;
    }
  }
  return null;
}

/** For some addresses only. */
const FOR_ONE = /(?<! !) -d |(?<! !) --match-set \S+ (?:\S+,)?dst\b/;

/** What a machine sends to itself is no call. */
const STAYS_HERE = /(?<! !) -o lo\b|(?<! !) --dst-type LOCAL\b/;

/** Whether a rule names a port that we were told to take; null where it names none at all. */
function takesPort(rule: string, way: Way): boolean | null {
  if (/ -p (?!tcp\b)/.test(rule)) return false;
  const ports = /(?<! !) --dports? ([0-9:,]+)/.exec(rule)?.[1];
  if (ports === undefined) return null;
  return ports.split(",").some((range) => {
    const [first = 0, last = first] = range.split(":").map(Number);
    return isTakenBetween(first, last, way);
  });
}

function isTakenBetween(first: number, last: number, { hook, settings }: Way): boolean {
  const taken = hook === "PREROUTING" ? settings.inboundPorts : settings.outboundPorts;
  const isTaken = (port: number) => !isLeftAlone(settings, hook, port);
  if (taken === "all") return first < last || isTaken(first);
  return taken.some((port) => port >= first && port <= last && isTaken(port));
}

// --- nftables

/** One thing of `nft -j`, as far as it is looked at (libnftables-json(5)). */
interface NftItem {
  readonly chain?: NftChain;
  readonly rule?: NftRule;
  readonly set?: NftSet;
}

interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
}

interface NftSet {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly elem?: unknown;
}

interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle?: number;
  readonly expr?: readonly NftExpression[];
}

interface NftExpression {
  readonly match?: { readonly op?: string; readonly left?: NftField; readonly right?: unknown };
  readonly jump?: { readonly target?: string };
  readonly goto?: { readonly target?: string };
  readonly redirect?: unknown;
  readonly dnat?: unknown;
  readonly tproxy?: unknown;
}

interface NftField {
  readonly payload?: { readonly protocol?: string; readonly field?: string };
  readonly meta?: { readonly key?: string };
  readonly fib?: { readonly result?: string; readonly flags?: unknown };
}

/**
 * Rules of nftables as lines of iptables, as far as they say where from and where to, so that both are
 * judged alike. A chain that the kernel asks is called by its hook.
 */
function nftLines(listed: string): string[] {
  const items = nftItems(listed);
  const hooks = new Map<string, string>();
  const sets = new Map<string, unknown>();
  for (const { chain, set } of items) {
    if (chain?.hook !== undefined) hooks.set(placeOf(chain, chain.name), chain.hook.toUpperCase());
    if (set !== undefined) sets.set(placeOf(set, `@${set.name}`), set.elem);
  }
  const tables = new Map<string, string[]>();
  for (const { rule } of items) {
    if (rule === undefined) continue;
    const table = `${rule.family} ${rule.table}`;
    const from = hooks.get(placeOf(rule, rule.chain)) ?? rule.chain;
    const words = (rule.expr ?? []).flatMap((it) =>
      nftWords(it, (name) => sets.get(placeOf(rule, name))),
    );
    const line = ["-A", from, ...words, "--in", rule.chain, "--handle", rule.handle ?? 0].join(" ");
    tables.set(table, [...(tables.get(table) ?? []), line]);
  }
  return [...tables].flatMap(([table, lines]) => [`*${table}`, ...lines]);
}

/** None where the program printed something else. */
function nftItems(listed: string): readonly NftItem[] {
  try {
    return (JSON.parse(listed) as { readonly nftables?: readonly NftItem[] }).nftables ?? [];
  } catch {
    return [];
  }
}

function placeOf(of: { readonly family: string; readonly table: string }, name: string): string {
  return `${of.family} ${of.table} ${name}`;
}

function nftWords(it: NftExpression, setOf: (name: string) => unknown): string[] {
  const target = it.jump?.target ?? it.goto?.target;
  if (target !== undefined) return ["-j", target];
  if (it.redirect !== undefined) return ["-j", "REDIRECT"];
  if (it.dnat !== undefined) return ["-j", "DNAT"];
  if (it.tproxy !== undefined) return ["-j", "TPROXY"];
  const { left, right, op } = it.match ?? {};
  if (left === undefined) return [];
  const isNamedSet = typeof right === "string" && right.startsWith("@");
  const values = nftValues(isNamedSet ? { set: setOf(right) } : right);
  return matchWords(left, values, op === "!=");
}

function matchWords(field: NftField, values: readonly string[], isNot: boolean): string[] {
  const { payload, meta, fib } = field;
  const [first = "none"] = values;
  const not = isNot ? ["!"] : [];
  if (payload?.field === "dport") {
    const protocol = payload.protocol === "th" ? [] : ["-p", payload.protocol ?? "none"];
    return [...protocol, ...not, "--dports", values.join(",")];
  }
  if (payload?.field === "daddr") return [...not, "-d", first];
  if (meta?.key === "l4proto") return ["-p", values.includes("tcp") === isNot ? "other" : "tcp"];
  if (meta?.key === "oifname" || meta?.key === "oif") return [...not, "-o", first];
  const isDestination = fib?.result === "type" && JSON.stringify(fib.flags).includes("daddr");
  return isDestination ? ["-m", "addrtype", ...not, "--dst-type", first.toUpperCase()] : [];
}

/** Values as iptables writes them: `80`, `8000:8100`. */
function nftValues(right: unknown): string[] {
  if (typeof right === "string" || typeof right === "number") return [String(right)];
  if (Array.isArray(right)) return right.flatMap(nftValues);
  if (typeof right !== "object" || right === null) return [];
  const { set, range, prefix, elem } = right as Record<string, unknown>;
  if (Array.isArray(range)) return [range.join(":")];
  if (typeof prefix === "object" && prefix !== null)
    return Object.values(prefix).slice(0, 1).map(String);
  if (typeof elem === "object" && elem !== null) return nftValues((elem as { val?: unknown }).val);
  return nftValues(set);
}
