import { ConfigError } from "../config.ts";

/**
 * What the command line tells the process that takes its place: the flags as they were read.
 *
 * Before: become.ts, in the command. After: main.ts, in the process.
 */

/** The variable of the environment that holds them, as JSON. */
export const FLAGS_VARIABLE = "FORKLANE_PROXY_FLAGS";

/** Flags by name without dashes, as they were given. */
export type Flags = Readonly<Record<string, string | undefined>>;

/** The environment of the process that takes over. */
export function withFlags(
  flags: Flags,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const given = { ...env, [FLAGS_VARIABLE]: JSON.stringify(flags) };
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Reads them. Throws a ConfigError where they are missing or somebody else has set the variable. */
export function readFlags(env: Readonly<Record<string, string | undefined>> = process.env): Flags {
  try {
    const flags: unknown = JSON.parse(env[FLAGS_VARIABLE] ?? "");
    if (typeof flags === "object" && flags !== null && Object.values(flags).every(isText)) {
      return flags as Flags;
    }
  } catch {
    // As below.
  }
  throw new ConfigError(FLAGS_VARIABLE, "is not set as it should be: start `forklane proxy`");
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}
