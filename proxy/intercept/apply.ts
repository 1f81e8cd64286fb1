import { formatAddress } from "../../core/address.ts";
import { type Foreign, foreignNftRules, foreignRules } from "./foreign-rules.ts";
import { InterceptError } from "./intercept-error.ts";
import {
  type Backend,
  type BackendName,
  installedBackends,
  nftRuleset,
  restore,
  save,
  takes,
} from "./iptables.ts";
import { hasIpv6, listeners, mayChangeRules, type PortListener } from "./machine.ts";
import {
  applyScript,
  CHAIN_PREFIX,
  type Family,
  type InterceptionSettings,
  interceptionRules,
  ownRules,
  proxyPorts,
  type RuleState,
  removeScript,
  restoreScript,
  ruleState,
  servedFamilies,
} from "./rules.ts";

/** What stands here of ours, per IP version. */
export interface InterceptStatus {
  readonly backend: BackendName;
  readonly state: CombinedState;
  readonly families: readonly FamilyStatus[];
}

/** `partly-aside`: in place for one IP version, aside for the other. */
export type CombinedState = RuleState | "partly-aside";

/** The rules of one IP version. */
export interface FamilyStatus {
  readonly family: Family;
  readonly state: RuleState;
  readonly rules: readonly string[];
}

/** What applying would do: the input of `iptables-restore` for each IP version. */
export interface Plan {
  readonly backend: Backend;
  readonly scripts: readonly { readonly family: Family; readonly script: string }[];
  /** What the operator should know besides. */
  readonly notes: readonly string[];
}

/** What may be asked beside the settings. */
export interface PlanOptions {
  readonly backend: BackendName | "auto";
  /** The IP versions that are taken; of the others the chains are written, and nothing leads to them. */
  readonly taken: readonly Family[];
}

/** All IP versions. */
export const FAMILIES: readonly Family[] = [4, 6];

/**
 * Looks whether the rules can be written here, and how; changes nothing.
 * Throws an InterceptError that names what stands in the way.
 */
export function planInterception(settings: InterceptionSettings, options: PlanOptions): Plan {
  needPrivilege();
  const backend = chooseBackend(options.backend);
  needFreePorts(settings);
  for (const each of installedBackends()) needNoForeigner(each, settings);
  needNone(foreignNftRules(nftRuleset(), settings), "nft");
  const families = FAMILIES.filter((family) => isWanted(backend, family));
  const scripts = families.map((family) => {
    const wanted = interceptionRules(settings, family);
    const hasJumps = options.taken.includes(family);
    return { family, script: applyScript(wanted, save(backend, family), hasJumps) };
  });
  const { unserved } = whereProxyListens(settings);
  const isRefused = unserved !== null && options.taken.some((it) => unserved.families.includes(it));
  const notes = [...notesOn(families), ...(isRefused ? [unserved.note] : [])];
  return { backend, scripts, notes };
}

/** Carries a plan out: both IP versions, or neither. */
export function applyPlan({ backend, scripts }: Plan): void {
  for (const { family, script } of scripts) restore(backend, family, script, true);
  const before = scripts.map(({ family }) => ({ family, saved: save(backend, family) }));
  const done: Family[] = [];
  try {
    for (const { family, script } of scripts) {
      restore(backend, family, script, false);
      done.push(family);
    }
  } catch (error) {
    for (const { family, saved } of before) {
      if (done.includes(family)) putBack(backend, family, saved, error);
    }
    throw error;
  }
}

/** Takes away all of ours, in every backend that is here; returns what was there. */
export function removeInterception(): InterceptStatus[] {
  needPrivilege();
  const before = readInterception();
  for (const backend of needBackends()) {
    for (const family of FAMILIES) removeFamily(backend, family);
  }
  return before;
}

/** Reads what stands here of ours; a backend that has nothing is left out. */
export function readInterception(): InterceptStatus[] {
  needPrivilege();
  return needBackends().flatMap((backend) => {
    const families = FAMILIES.filter((family) => isWanted(backend, family)).map((family) => {
      const saved = save(backend, family);
      return { family, state: ruleState(saved), rules: ownRules(saved) };
    });
    const state = stateOf(families);
    return state === "absent" ? [] : [{ backend: backend.name, state, families }];
  });
}

/** One word for both IP versions. */
function stateOf(families: readonly FamilyStatus[]): CombinedState {
  const [first, ...others] = families.map(({ state }) => state);
  if (others.every((state) => state === first)) return first ?? "absent";
  const isWhole = families.every(({ state }) => state === "in-place" || state === "aside");
  return isWhole ? "partly-aside" : "broken";
}

/** Where the proxy listens, as far as connections that are led to it are concerned. */
export interface ProxyPlace {
  /** The IP versions whose connections it would have. */
  readonly served: readonly Family[];
  /** Those that are in use here, and would find nobody although the proxy listens; null: none. */
  readonly unserved: { readonly families: readonly Family[]; readonly note: string } | null;
}

/** Looks where the proxy listens; no connection is made. */
export function whereProxyListens(settings: InterceptionSettings): ProxyPlace {
  const ports = new Map(
    proxyPorts(settings).map((port) => [port, listenersOf(settings, port)] as const),
  );
  const served = servedFamilies(settings, (port) =>
    (ports.get(port) ?? []).map(({ address }) => address),
  );
  const places = [...ports].flatMap(([port, all]) =>
    all.map(({ address: host }) => formatAddress({ host, port })),
  );
  const families = FAMILIES.filter((it) => !served.includes(it) && (it === 4 || hasIpv6()));
  if (families.length === 0 || places.length === 0) return { served, unserved: null };
  const versions = families.map((family) => `IPv${family}`).join(" and ");
  const wanted = [...ports.keys()].map((port) => `[::]:${port}`).join(" and ");
  const note = `the proxy listens at ${places.join(" and ")}, where nobody has what is redirected over ${versions}; let it listen at ${wanted}`;
  return { served, unserved: { families, note } };
}

function listenersOf({ uid }: InterceptionSettings, port: number): PortListener[] {
  return listeners(port).filter((it) => it.uid === uid);
}

/** Throws an InterceptError unless this process may change rules here. */
export function needPrivilege(): void {
  if (mayChangeRules()) return;
  throw new InterceptError(
    "intercept-privilege",
    "rules need the capability NET_ADMIN in this network namespace, and this process has it not",
    "run it as root in an init container with NET_ADMIN, or go without rules (proxy/intercept/README.md)",
  );
}

function needBackends(): Backend[] {
  const backends = installedBackends();
  if (backends.length > 0) return backends;
  throw new InterceptError(
    "intercept-no-iptables",
    "neither iptables-nft nor iptables-legacy is here",
    "install the package iptables, or go without rules (proxy/intercept/README.md)",
  );
}

/**
 * The backend that is in use here: where rules of ours stand, else where anybody's stand, else nft.
 * Rules in both are judged by the kernel one after the other, which nobody can foresee.
 */
function chooseBackend(wanted: BackendName | "auto"): Backend {
  const backends = needBackends();
  const own = backends.filter((it) => FAMILIES.some((family) => standsIn(it, family, OWN)));
  const other = own.find(({ name }) => wanted !== "auto" && name !== wanted);
  if (other !== undefined) {
    throw conflict(
      `our rules stand in iptables-${other.name}, and iptables-${wanted} was asked for`,
      "take them away first: forklane intercept --remove",
    );
  }
  if (wanted !== "auto") return needBackend(backends, wanted);
  const used = backends.filter((it) => FAMILIES.some((family) => standsIn(it, family, ANY)));
  if (used.length > 1) {
    throw conflict(
      "rules stand in iptables-nft and in iptables-legacy, and both would be carried out",
      "clean up one of them, or say which by --backend nft or --backend legacy",
    );
  }
  return used[0] ?? backends.find((it) => takes(it, 4)) ?? needBackend(backends, "nft");
}

function needBackend(backends: readonly Backend[], name: BackendName): Backend {
  const backend = backends.find((it) => it.name === name);
  if (backend === undefined) {
    throw new InterceptError(
      "intercept-no-iptables",
      `iptables-${name} is not here`,
      `install it, or take --backend ${backends.map((it) => it.name).join(" or ")}`,
    );
  }
  if (takes(backend, 4)) return backend;
  throw new InterceptError(
    "intercept-no-iptables",
    `the kernel takes no rules by iptables-${name}`,
    "load its modules (nf_nat, and iptable_nat for legacy), or take the other --backend",
  );
}

const OWN = new RegExp(`^(?:-A|:)[^\n]*${CHAIN_PREFIX}`, "m");
const ANY = /^-A /m;

function standsIn(backend: Backend, family: Family, sign: RegExp): boolean {
  return isWanted(backend, family) && sign.test(save(backend, family));
}

/** IPv6 is left out only where it cannot matter: the kernel takes no rules and has no address. */
function isWanted(backend: Backend, family: Family): boolean {
  if (family === 4 || hasIpv6()) return true;
  return takes(backend, 6);
}

function notesOn(families: readonly Family[]): string[] {
  if (hasIpv6()) return [];
  return [
    families.includes(6)
      ? "IPv6 is switched off here; its rules are written all the same and wait"
      : "IPv6 is switched off in this kernel; there are rules for IPv4 only",
  ];
}

function needFreePorts(settings: InterceptionSettings): void {
  for (const port of proxyPorts(settings)) {
    const stranger = listeners(port).find(({ uid }) => uid !== settings.uid);
    if (stranger === undefined) continue;
    throw conflict(
      `user ${stranger.uid} listens at port ${port}, which is to be the proxy's, of user ${settings.uid}`,
      "stop that process, run the proxy as that user, or give another --proxy-port",
    );
  }
}

function needNoForeigner(backend: Backend, settings: InterceptionSettings): void {
  for (const family of FAMILIES.filter((it) => isWanted(backend, it))) {
    needNone(foreignRules(save(backend, family), settings), backend.program[family]);
  }
}

function needNone([foreign]: readonly Foreign[], program: string): void {
  if (foreign === undefined) return;
  throw conflict(
    `${foreign.name} redirects connections here already (${program}): ${foreign.rule}`,
    "one of the two can have them: leave this pod out of the other, or go without our rules",
  );
}

function conflict(message: string, fix: string): InterceptError {
  return new InterceptError("intercept-conflict", message, fix);
}

function removeFamily(backend: Backend, family: Family): void {
  if (!standsIn(backend, family, OWN)) return;
  restore(backend, family, removeScript(save(backend, family)), false);
}

/** After the other IP version failed: ours as it stood before, in one step. */
function putBack(backend: Backend, family: Family, before: string, why: unknown): void {
  try {
    restore(backend, family, restoreScript(before, save(backend, family)), false);
  } catch (error) {
    throw new InterceptError(
      "intercept-failed",
      `${messageOf(why)}; the rules for IPv${family} are changed, and could not be put back: ${messageOf(error)}`,
      "try again, or take all away by forklane intercept --remove; --status shows what stands",
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
