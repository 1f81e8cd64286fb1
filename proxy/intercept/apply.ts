import { foreignRules } from "./foreign-rules.ts";
import { InterceptError } from "./intercept-error.ts";
import {
  type Backend,
  type BackendName,
  installedBackends,
  restore,
  save,
  takes,
} from "./iptables.ts";
import { hasIpv6, listeners, mayChangeRules } from "./machine.ts";
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
} from "./rules.ts";

/** What stands here of ours, per IP version. */
export interface InterceptStatus {
  readonly backend: BackendName;
  readonly state: RuleState;
  readonly families: readonly FamilyStatus[];
}

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
  /** False: the chains are written, and nothing leads to them. */
  readonly hasJumps: boolean;
}

const FAMILIES = [4, 6] as const;

/**
 * Looks whether the rules can be written here, and how; changes nothing.
 * Throws an InterceptError that names what stands in the way.
 */
export function planInterception(settings: InterceptionSettings, options: PlanOptions): Plan {
  needPrivilege();
  const backend = chooseBackend(options.backend);
  needFreePorts(settings);
  for (const each of installedBackends()) needNoForeigner(each, settings);
  const families = FAMILIES.filter((family) => isWanted(backend, family));
  const scripts = families.map((family) => {
    const wanted = interceptionRules(settings, family);
    return { family, script: applyScript(wanted, save(backend, family), options.hasJumps) };
  });
  return { backend, scripts, notes: notesOn(families) };
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
    for (const { family, saved } of before)
      if (done.includes(family)) putBack(backend, family, saved);
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

/** One word for both IP versions: what they agree on, or broken. */
function stateOf(families: readonly FamilyStatus[]): RuleState {
  const [first, ...others] = families.map(({ state }) => state);
  return others.every((state) => state === first) ? (first ?? "absent") : "broken";
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
    const stranger = listeners(port).find((uid) => uid !== settings.uid);
    if (stranger === undefined) continue;
    throw conflict(
      `user ${stranger} listens at port ${port}, which is to be the proxy's, of user ${settings.uid}`,
      "stop that process, run the proxy as that user, or give another --proxy-port",
    );
  }
}

function needNoForeigner(backend: Backend, settings: InterceptionSettings): void {
  for (const family of FAMILIES.filter((it) => isWanted(backend, it))) {
    const [foreign] = foreignRules(save(backend, family), settings);
    if (foreign === undefined) continue;
    throw conflict(
      `${foreign.name} redirects connections here already (${backend.program[family]}): ${foreign.rule}`,
      "one of the two can have them: leave this pod out of the other, or go without our rules",
    );
  }
}

function conflict(message: string, fix: string): InterceptError {
  return new InterceptError("intercept-conflict", message, fix);
}

function removeFamily(backend: Backend, family: Family): void {
  if (!standsIn(backend, family, OWN)) return;
  restore(backend, family, removeScript(save(backend, family)), false);
}

/** After the other IP version failed: ours as it stood before, in one step. */
function putBack(backend: Backend, family: Family, before: string): void {
  restore(backend, family, restoreScript(before, save(backend, family)), false);
}
