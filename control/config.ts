import { type Address, parseAddress } from "../core/address.ts";
import { LOOPBACK_AND_PRIVATE, type Networks, parseNetworks } from "../core/networks.ts";
import { err, ok, type Result } from "../core/result.ts";
import { CONTROL_LIMITS, type ControlLimits } from "./model/limits.ts";

/** Everything that control is told, validated and frozen. */
export interface ControlConfig {
  /** A loopback address: there are no tokens yet. Port 0: any that is free. */
  readonly listen: Address;
  /** The store's file; null: in memory, gone with the process. */
  readonly data: string | null;
  /** Begins another history in the store: once, after a backup was restored. */
  readonly newEpoch: boolean;
  /** Where endpoints of forks may lie; link-local never. */
  readonly allowedNetworks: Networks;
  readonly logLevel: LogLevel;
  readonly limits: ControlLimits;
}

const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;

/** How much is logged, to standard error. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Flags as given on the command line, without their dashes; an absent one is undefined. */
export type ControlFlags = Readonly<Record<string, string | undefined>>;

/** Name of each flag; the variable is FORKLANE_CONTROL_ and the name in capitals with `_`. */
const SETTINGS = {
  listen: "127.0.0.1:7070",
  data: "forklane.db",
  "new-epoch": "false",
  "allowed-networks": LOOPBACK_AND_PRIVATE.join(","),
  "log-level": "warn",
} as const;

type Setting = keyof typeof SETTINGS;

/** `--data :memory:` keeps nothing. */
const IN_MEMORY = ":memory:";

/**
 * Reads flags and FORKLANE_CONTROL_* variables, flags first; the error names the setting, its value
 * and what is allowed.
 */
export function readControlConfig(
  flags: ControlFlags,
  env: NodeJS.ProcessEnv = process.env,
): Result<ControlConfig, string> {
  for (const name of Object.keys(flags)) {
    if (!Object.hasOwn(SETTINGS, name)) return err(`--${name} is no setting of control`);
  }
  const text = (setting: Setting): string => textOf(setting, flags, env);
  const listen = readListen(text("listen"));
  if (!listen.ok) return listen;
  const newEpoch = readBoolean("new-epoch", text("new-epoch"));
  if (!newEpoch.ok) return newEpoch;
  const networks = readNetworks(text("allowed-networks"));
  if (!networks.ok) return networks;
  const logLevel = readLogLevel(text("log-level"));
  if (!logLevel.ok) return logLevel;
  if (text("data") === "") return err(`data: "" is no file; name one, or ${IN_MEMORY}`);
  return ok(
    Object.freeze({
      listen: listen.value,
      data: text("data") === IN_MEMORY ? null : text("data"),
      newEpoch: newEpoch.value,
      allowedNetworks: networks.value,
      logLevel: logLevel.value,
      limits: CONTROL_LIMITS,
    }),
  );
}

/** An empty variable counts as absent. */
function textOf(setting: Setting, flags: ControlFlags, env: NodeJS.ProcessEnv): string {
  const variable = `FORKLANE_CONTROL_${setting.toUpperCase().replaceAll("-", "_")}`;
  return flags[setting] ?? (env[variable] || SETTINGS[setting]);
}

/** 127.0.0.0/8 and ::1; a name could mean anything. */
const LOOPBACK = parseNetworks(["127.0.0.0/8", "::1/128"]);

function readListen(text: string): Result<Address, string> {
  const address = parseAddress(text);
  if (!address.ok) return err(`listen: ${address.error}`);
  const host = address.value.host === "localhost" ? "127.0.0.1" : address.value.host;
  if (LOOPBACK.ok && LOOPBACK.value.includes(host)) return ok({ ...address.value, host });
  return err(
    `listen: "${text}" is no loopback address; without tokens only 127.0.0.1 and [::1] are allowed`,
  );
}

function readBoolean(setting: Setting, text: string): Result<boolean, string> {
  if (text === "true" || text === "false") return ok(text === "true");
  return err(`${setting}: "${text}" is neither true nor false`);
}

function readNetworks(text: string): Result<Networks, string> {
  const networks = parseNetworks(text.split(",").map((part) => part.trim()));
  return networks.ok ? networks : err(`allowed-networks: ${networks.error}`);
}

function readLogLevel(text: string): Result<LogLevel, string> {
  const level = LOG_LEVELS.find((each) => each === text);
  if (level !== undefined) return ok(level);
  return err(`log-level: "${text}" is none of ${LOG_LEVELS.join(", ")}`);
}
