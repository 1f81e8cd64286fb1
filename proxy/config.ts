import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type Address, formatAddress, parseAddress } from "../core/address.ts";
import { parseJson } from "../core/json.ts";
import { LOOPBACK_AND_PRIVATE, type Networks, parseNetworks } from "../core/networks.ts";
import { err, ok, type Result } from "../core/result.ts";
import { isDnsLabel, isWorkloadName } from "../core/workload.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import type { CalleePlaces } from "./routing/callees.ts";
import { type Carrier, DEFAULT_CARRIERS, parseCarriers } from "./routing/carrier.ts";
import type { EntryPlace } from "./routing/edge-entry.ts";
import { checkPlaces } from "./routing/table-document.ts";

/** Everything a proxy process is told, validated and frozen. */
export interface ProxyConfig {
  readonly mode: "inbound" | "outbound" | "edge";
  readonly listen: Address;
  /**
   * The baseline: the service next to the proxy, or what stands behind the edge. With interception
   * its host may be `original`, the address as dialled, and its port 0, the port as dialled. In mode
   * outbound it is both: each call has its own.
   */
  readonly upstream: Address;
  /** How the calls of the service are taken; null where they are not. */
  readonly outbound: OutboundConfig | null;
  /** Whether the kernel redirects connections here, so that they are asked where they were meant to go. */
  readonly intercept: boolean;
  /** Whether the service is told who called, in `X-Forwarded-For`. */
  readonly appendsForwardedFor: boolean;
  readonly workload: string;
  /** The sandbox whose fork the proxy stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  /** Paths that a fork's own proxy lets through untagged: probes. */
  readonly probePaths: readonly string[];
  /** A file with the routing table; null where control sends it. */
  readonly table: string | null;
  /** Base URL of control, without a slash at the end; null without control. */
  readonly control: string | null;
  /** File with the token for control; null without. */
  readonly tokenFile: string | null;
  /** Where admin answers (ready, metrics, explain); null: nowhere. */
  readonly admin: Address | null;
  /** Folder for the last-known-good table; null: it is not kept. */
  readonly stateDir: string | null;
  /** Unique name of this process while it runs. */
  readonly instance: string;
  /** Processes that take traffic; past one there is a supervisor (proxy/supervisor). */
  readonly workers: number;
  readonly carriers: readonly Carrier[];
  /** Networks whose tags are believed; tags of others are removed. */
  readonly trustTagsFrom: Networks;
  /** Edge: how a request from outside may name its key. */
  readonly entries: readonly EntryPlace[];
  /** What becomes of request fields whose name has an underscore. */
  readonly underscoreFields: "forward" | "drop" | "reject";
  readonly accessLog: AccessLogConfig;
  readonly otlp: OtlpConfig | null;
  readonly limits: Limits;
}

/** Calls that the service next to the proxy makes. */
export interface OutboundConfig {
  /** Where they are taken; in mode outbound the same as `listen`. */
  readonly listen: Address;
  /** Names and addresses of workloads, beside those of the table. */
  readonly callees: CalleePlaces;
  /** Networks of the cluster: what is in none, and not in the table, is outside. */
  readonly clusterNetworks: Networks;
  /** Whether tags are taken off calls that leave the cluster. */
  readonly stripsOutside: boolean;
}

/** The access log: one line per tagged exchange, one per `untaggedEvery` untagged ones (0: none). */
export interface AccessLogConfig {
  /** File to append to; null is standard output; "off" writes nothing. */
  readonly file: string | null | "off";
  readonly untaggedEvery: number;
}

/** Where spans of sampled traces go. */
export interface OtlpConfig {
  /** Base URL of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  readonly serviceName: string;
}

/** Every setting of the proxy, as flags (`--listen`), in the file, and as FORKLANE_LISTEN. */
export const PROXY_SETTINGS = [
  "listen",
  "upstream",
  "intercept",
  "outbound-listen",
  "callees",
  "cluster-networks",
  "strip-outside",
  "forwarded-for",
  "workload",
  "mode",
  "sandbox",
  "probe-path",
  "table",
  "control",
  "token-file",
  "admin",
  "state-dir",
  "instance",
  "upstream-protocol",
  "workers",
  "carriers",
  "trust-tags-from",
  "entries",
  "underscore-fields",
  "access-log",
  "access-log-untagged-every",
  "otlp-endpoint",
  "otlp-service-name",
  "limit",
  "config",
] as const;

/** Name of a setting. */
export type ProxySetting = (typeof PROXY_SETTINGS)[number];

/** Names that others gave to the same thing; FORKLANE_<NAME> comes first. */
const FOREIGN_ENVIRONMENT: Partial<Record<ProxySetting, string>> = {
  "otlp-endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
  "otlp-service-name": "OTEL_SERVICE_NAME",
};

/** A wrong setting: its message names the setting, the value, and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly setting: string;

  constructor(setting: string, message: string) {
    super(`${setting}: ${message}`);
    this.setting = setting;
  }
}

/**
 * Reads the settings of a proxy: a flag before the environment, before the file, before the default.
 *
 * `flags` are keyed by setting (`state-dir`), without dashes in front. An empty value is none.
 */
export function readProxyConfig(
  flags: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Result<ProxyConfig, ConfigError> {
  try {
    const settings = new Settings(flags, env);
    return ok(Object.freeze(readSections(settings)));
  } catch (error) {
    if (error instanceof ConfigError) return err(error);
    throw error;
  }
}

/**
 * The settings as they were given, from all places, keyed as flags are: `readProxyConfig(these, {})`
 * gives the same configuration in another process, whatever has become of the file since.
 */
export function collectProxySettings(
  flags: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Result<Readonly<Record<string, string>>, ConfigError> {
  try {
    const settings = new Settings(flags, env);
    const given = PROXY_SETTINGS.filter((setting) => setting !== "config").flatMap((setting) => {
      const found = settings.read(setting);
      return found === null ? [] : [[setting, found.value] as const];
    });
    return ok(Object.fromEntries(given));
  } catch (error) {
    if (error instanceof ConfigError) return err(error);
    throw error;
  }
}

function readSections(settings: Settings): ProxyConfig {
  checkUpstreamProtocol(settings);
  const mode = readMode(settings);
  const intercept = readSwitch(settings, "intercept");
  const place = readPlace(settings, mode, intercept);
  return {
    mode,
    ...place,
    intercept,
    outbound: readOutbound(settings, mode, place.listen, intercept),
    appendsForwardedFor: readForwardedFor(settings),
    ...readSandbox(settings),
    ...readTableSource(settings),
    admin: readOptionalAddress(settings, "admin"),
    stateDir: settings.read("state-dir")?.value ?? null,
    instance: readInstance(settings, place.workload),
    workers: readWorkers(settings),
    ...readTrust(settings, mode),
    underscoreFields: readUnderscoreFields(settings),
    accessLog: readAccessLog(settings),
    otlp: readOtlp(settings),
    limits: readLimits(settings),
  };
}

/** One setting as it was given, and where: what an error names. */
interface Given {
  readonly name: string;
  readonly value: string;
}

/** The settings from all places. */
class Settings {
  readonly #flags: Readonly<Record<string, string | undefined>>;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #file: ReadonlyMap<string, Given>;

  constructor(
    flags: Readonly<Record<string, string | undefined>>,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    for (const name of Object.keys(flags)) checkName(name, `--${name}`);
    this.#flags = flags;
    this.#env = env;
    this.#file = new Map();
    const file = this.read("config");
    if (file !== null) this.#file = readFile(file);
  }

  read(setting: ProxySetting): Given | null {
    const flag = this.#flags[setting];
    if (flag) return { name: `--${setting}`, value: flag };
    const own = `FORKLANE_${setting.toUpperCase().replaceAll("-", "_")}`;
    for (const name of [own, FOREIGN_ENVIRONMENT[setting]]) {
      const value = name === undefined ? undefined : this.#env[name];
      if (name !== undefined && value) return { name, value };
    }
    return this.#file.get(setting) ?? null;
  }

  need(setting: ProxySetting, allowed: string): Given {
    const given = this.read(setting);
    if (given === null) throw new ConfigError(`--${setting}`, `is missing; ${allowed}`);
    return given;
  }
}

function checkName(setting: string, name: string): void {
  if ((PROXY_SETTINGS as readonly string[]).includes(setting)) return;
  throw new ConfigError(name, `is no setting of the proxy; there are ${PROXY_SETTINGS.join(", ")}`);
}

function wrong(given: Given, allowed: string): ConfigError {
  // It may be a URL that was mistyped, with a password in it.
  if (given.value.includes("@")) return new ConfigError(given.name, `is not allowed; ${allowed}`);
  const value = given.value.length > 200 ? `${given.value.slice(0, 200)}...` : given.value;
  return new ConfigError(given.name, `${JSON.stringify(value)} is not allowed; ${allowed}`);
}

function readFile(given: Given): ReadonlyMap<string, Given> {
  const file = given.value;
  const settings = new Map<string, Given>();
  for (const [setting, value] of Object.entries(parseFile(given))) {
    const name = `${setting} in ${file}`;
    checkName(setting, name);
    if (setting === "config") throw new ConfigError(name, "a file cannot name another one");
    settings.set(setting, { name, value: fileValue(name, value) });
  }
  return settings;
}

/** A file with a JSON object. */
function parseFile(given: Given): object {
  const content = parseJson(readText(given));
  // Its text is not repeated: the path may be a wrong one, of a token for instance.
  if (!content.ok) {
    throw new ConfigError(given.name, `cannot be read: ${given.value} ${content.error}`);
  }
  const { value } = content;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new ConfigError(given.name, `${given.value} holds no JSON object of settings`);
}

function readText(given: Given): string {
  try {
    return readFileSync(given.value, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(given.name, `cannot be read: ${why}`);
  }
}

/** Lists and objects are the long form of what a flag writes with commas. */
function fileValue(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.map((item) => fileValue(name, item)).join(",");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(([key, item]) => `${key}=${fileValue(name, item)}`)
      .join(",");
  }
  throw new ConfigError(name, "is null; leave it out in place of it");
}

function list(given: Given | null): string[] {
  if (given === null) return [];
  return given.value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function readMode(settings: Settings): ProxyConfig["mode"] {
  const given = settings.read("mode");
  if (given === null) return "inbound";
  const { value } = given;
  if (value === "inbound" || value === "outbound" || value === "edge") return value;
  throw wrong(given, "modes are inbound, outbound and edge");
}

function readSwitch(settings: Settings, setting: ProxySetting): boolean {
  const given = settings.read(setting);
  if (given === null || given.value === "false") return false;
  if (given.value === "true") return true;
  throw wrong(given, "it is true or false");
}

function readForwardedFor(settings: Settings): boolean {
  const given = settings.read("forwarded-for");
  if (given === null || given.value === "off") return false;
  if (given.value === "append") return true;
  throw wrong(given, "it is append or off");
}

function readPlace(
  settings: Settings,
  mode: ProxyConfig["mode"],
  intercept: boolean,
): Pick<ProxyConfig, "listen" | "upstream" | "workload"> {
  const given = settings.need("listen", "the address to take traffic at, such as 127.0.0.1:8110");
  const listen = readListen(given, intercept);
  const upstream = readUpstream(settings, mode, intercept, listen);
  const workload = settings.need("workload", "namespace/name, such as shop/cart");
  if (!isWorkloadName(workload.value)) {
    throw wrong(workload, "a workload is namespace/name in lower case, such as shop/cart");
  }
  return { listen, upstream, workload: workload.value };
}

function readListen(given: Given, intercept: boolean): Address {
  const listen = readAddress(given);
  if (!intercept || listen.port !== 0) return listen;
  throw new ConfigError(given.name, "needs a port of its own with --intercept: rules lead to it");
}

function readUpstream(
  settings: Settings,
  mode: ProxyConfig["mode"],
  intercept: boolean,
  listen: Address,
): Address {
  const given = settings.read("upstream");
  if (mode === "outbound") {
    if (given === null) return { host: "original", port: 0 };
    throw wrong(given, "--mode outbound has none: each call names its own");
  }
  if (intercept) return readDialled(given ?? { name: "--upstream", value: "original" });
  const needed = settings.need("upstream", "the baseline, such as 127.0.0.1:9001");
  const upstream = readAddress(needed);
  if (upstream.port === 0) throw wrong(needed, "the port is 1 to 65535");
  if (listen.port !== 0 && formatAddress(listen) === formatAddress(upstream)) {
    throw wrong(needed, "the proxy would forward to itself: it listens there");
  }
  return upstream;
}

/** Only meant for a proxy that takes calls. */
const OUTBOUND_SETTINGS = ["callees", "cluster-networks", "strip-outside"] as const;

function readOutbound(
  settings: Settings,
  mode: ProxyConfig["mode"],
  listen: Address,
  intercept: boolean,
): OutboundConfig | null {
  const given = settings.read("outbound-listen");
  if (given !== null && mode !== "inbound") {
    throw wrong(given, "it stands beside --listen of --mode inbound; --mode outbound has --listen");
  }
  if (given === null && mode !== "outbound") {
    const lost = OUTBOUND_SETTINGS.map((it) => settings.read(it)).find((it) => it !== null);
    if (lost === undefined || lost === null) return null;
    throw new ConfigError(lost.name, "is for calls: give --outbound-listen, or --mode outbound");
  }
  return {
    listen: given === null ? listen : readOtherListen(given, intercept, listen),
    callees: readCallees(settings),
    clusterNetworks: readNetworks(settings, "cluster-networks", LOOPBACK_AND_PRIVATE),
    stripsOutside: readSwitch(settings, "strip-outside"),
  };
}

function readOtherListen(given: Given, intercept: boolean, listen: Address): Address {
  const other = readListen(given, intercept);
  if (other.port !== 0 && other.port === listen.port) {
    throw wrong(given, "it needs another port than --listen");
  }
  return other;
}

function readCallees(settings: Settings): CalleePlaces {
  const given = settings.read("callees");
  if (given === null) return new Map();
  const places = checkPlaces(parseFile(given));
  if (!places.ok) throw new ConfigError(given.name, `${given.value}: ${places.error}`);
  if (settings.read("control") !== null && places.value.size > WATCHED_CALLEES_MAX) {
    const why = `${given.value} names ${places.value.size} workloads; with --control at most ${WATCHED_CALLEES_MAX}`;
    throw new ConfigError(given.name, why);
  }
  return places.value;
}

/** Beside its own: control lets one proxy watch 64 workloads. */
const WATCHED_CALLEES_MAX = 63;

/** With interception: `original`, an IP address alone, whose port is the one dialled, or both. */
function readDialled(given: Given): Address {
  if (given.value === "original" || isIP(given.value) !== 0) return { host: given.value, port: 0 };
  const address = parseAddress(given.value);
  if (address.ok && address.value.port !== 0 && isIP(address.value.host) !== 0)
    return address.value;
  throw wrong(given, "with --intercept it is original, an IP address, or an IP address and a port");
}

function readAddress(given: Given): Address {
  const address = parseAddress(given.value);
  if (address.ok) return address.value;
  throw wrong(given, `${address.error}; an address is host:port or [IPv6]:port`);
}

function readOptionalAddress(settings: Settings, setting: ProxySetting): Address | null {
  const given = settings.read(setting);
  return given === null ? null : readAddress(given);
}

function readSandbox(settings: Settings): Pick<ProxyConfig, "sandbox" | "probePaths"> {
  const sandbox = settings.read("sandbox");
  if (sandbox !== null && !isDnsLabel(sandbox.value)) {
    throw wrong(sandbox, "a sandbox name is 1 to 63 of a-z, 0-9 and -");
  }
  const given = settings.read("probe-path");
  const probePaths = list(given);
  const bad = probePaths.find((probePath) => !/^\/[\x21-\x7e]*$/.test(probePath));
  if (given !== null && bad !== undefined) throw wrong(given, "a probe path begins with /");
  return { sandbox: sandbox?.value ?? null, probePaths };
}

function readTableSource(settings: Settings): Pick<ProxyConfig, "table" | "control" | "tokenFile"> {
  const table = settings.read("table");
  const control = settings.read("control");
  const tokenFile = settings.read("token-file")?.value ?? null;
  if (table !== null && control !== null) {
    throw new ConfigError(table.name, `and ${control.name} exclude each other: give one of them`);
  }
  if (control !== null) return { table: null, control: readUrl(control), tokenFile };
  if (table !== null) return { table: table.value, control: null, tokenFile };
  throw new ConfigError("--control", "is missing; give it, or --table FILE");
}

function readUrl(given: Given): string {
  const url = URL.parse(given.value);
  const allowed = "a base URL such as http://127.0.0.1:7070";
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw wrong(given, allowed);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    // The value is not repeated: it may hold a password.
    throw new ConfigError(given.name, `holds more than ${allowed}; a token goes into --token-file`);
  }
  return url.href.replace(/\/+$/, "");
}

function readInstance(settings: Settings, workload: string): string {
  const given = settings.read("instance");
  if (given === null) return `${workload.replace("/", ".")}-${randomBytes(4).toString("hex")}`;
  if (/^[A-Za-z0-9._-]{1,64}$/.test(given.value)) return given.value;
  throw wrong(given, "an instance is 1 to 64 of A-Z, a-z, 0-9, . _ and -");
}

function checkUpstreamProtocol(settings: Settings): void {
  const given = settings.read("upstream-protocol");
  if (given === null || given.value === "http1" || given.value === "auto") return;
  if (given.value === "h2c") throw wrong(given, "h2c is not there yet; use http1 or auto");
  throw wrong(given, "protocols are http1 and auto");
}

/** More than machines have cores: a number past it is a mistake, and each costs as much memory as a proxy. */
export const WORKERS_MAX = 64;

function readWorkers(settings: Settings): number {
  const given = settings.read("workers");
  if (given === null) return 1;
  const count = /^[0-9]{1,3}$/.test(given.value) ? Number(given.value) : 0;
  // What traces came in with a tag is known to one process only.
  if (count > 1 && settings.read("outbound-listen") !== null) {
    throw wrong(given, "with --outbound-listen one process takes both directions: 1 is");
  }
  if (count >= 1 && count <= WORKERS_MAX) return count;
  throw wrong(given, `a whole number of processes from 1 to ${WORKERS_MAX} is`);
}

const ENTRIES = ["host", "cookie", "header"] as const;

function readTrust(
  settings: Settings,
  mode: ProxyConfig["mode"],
): Pick<ProxyConfig, "carriers" | "trustTagsFrom" | "entries"> {
  return {
    carriers: readCarriers(settings),
    trustTagsFrom: readTrustedNetworks(settings, mode),
    entries: readEntries(settings, mode),
  };
}

function readCarriers(settings: Settings): readonly Carrier[] {
  const given = settings.read("carriers");
  if (given === null) return DEFAULT_CARRIERS;
  const carriers = parseCarriers(given.value);
  if (carriers.ok) return carriers.value;
  throw new ConfigError(given.name, carriers.error);
}

/** An edge meets the world: it believes nobody unless told. A sidecar meets its own cluster. */
function readTrustedNetworks(settings: Settings, mode: ProxyConfig["mode"]): Networks {
  return readNetworks(settings, "trust-tags-from", mode === "edge" ? [] : LOOPBACK_AND_PRIVATE);
}

function readNetworks(
  settings: Settings,
  setting: ProxySetting,
  fallback: readonly string[],
): Networks {
  const given = settings.read(setting);
  const cidrs = given?.value === "none" ? [] : list(given);
  const networks = parseNetworks(given === null ? fallback : cidrs);
  if (networks.ok) return networks.value;
  throw wrong(given ?? { name: `--${setting}`, value: "" }, `${networks.error}; or none`);
}

function readEntries(settings: Settings, mode: ProxyConfig["mode"]): ProxyConfig["entries"] {
  const given = settings.read("entries");
  if (given === null) return mode === "edge" ? ENTRIES : [];
  if (mode !== "edge") throw wrong(given, "only --mode edge has entries");
  if (given.value === "none") return [];
  const wanted = list(given);
  if (wanted.some((entry) => !(ENTRIES as readonly string[]).includes(entry))) {
    throw wrong(given, `entries are ${ENTRIES.join(", ")}, or none`);
  }
  return ENTRIES.filter((entry) => wanted.includes(entry));
}

function readUnderscoreFields(settings: Settings): ProxyConfig["underscoreFields"] {
  const given = settings.read("underscore-fields");
  const rule = given?.value ?? "forward";
  if (rule === "forward" || rule === "drop" || rule === "reject") return rule;
  throw wrong(given ?? { name: "--underscore-fields", value: rule }, "use forward, drop or reject");
}

function readAccessLog(settings: Settings): AccessLogConfig {
  const file = settings.read("access-log")?.value ?? "-";
  const every = settings.read("access-log-untagged-every");
  return {
    file: file === "-" ? null : file,
    untaggedEvery: every === null ? 0 : readCount(every, 0),
  };
}

function readOtlp(settings: Settings): OtlpConfig | null {
  const given = settings.read("otlp-endpoint");
  if (given === null) return null;
  const serviceName = settings.read("otlp-service-name")?.value ?? "forklane-proxy";
  return { endpoint: readUrl(given), serviceName };
}

/** Limits that may be 0, which means none. */
const LIMITS_WITH_NONE: ReadonlySet<string> = new Set(["responseMs", "exchangeMs"]);

function readLimits(settings: Settings): Limits {
  const given = settings.read("limit");
  const changed: Record<string, number> = {};
  for (const item of list(given)) {
    const [name = "", value = ""] = item.split("=", 2);
    const one = { name: given?.name ?? "--limit", value: item };
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw wrong(one, `limits are NAME=NUMBER of ${Object.keys(DEFAULT_LIMITS).join(", ")}`);
    }
    changed[name] = readCount({ ...one, value }, LIMITS_WITH_NONE.has(name) ? 0 : 1, item);
  }
  return Object.freeze({ ...DEFAULT_LIMITS, ...changed });
}

/** Node's timers hold no more, and no limit needs more. */
const COUNT_MAX = 2 ** 31 - 1;

function readCount(given: Given, min: number, shown = given.value): number {
  const count = /^[0-9]{1,10}$/.test(given.value) ? Number(given.value) : Number.NaN;
  if (count >= min && count <= COUNT_MAX) return count;
  throw wrong({ ...given, value: shown }, `a whole number from ${min} to ${COUNT_MAX} is`);
}
