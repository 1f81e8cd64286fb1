import type { Address } from "../../core/address.ts";
import { ConfigError } from "../config.ts";

/**
 * What one generation of a proxy hands down to the next one, which it starts: listening sockets.
 *
 * Before: successor.ts, in the generation before. After: supervisor.ts.
 */

/** The variable of the environment that tells a process of what it was handed. */
export const INHERITANCE_VARIABLE = "FORKLANE_INHERITED_SOCKETS";

/** A listening socket: what it was configured as, where it is, and its descriptor. */
export interface InheritedSocket {
  readonly configured: Address;
  readonly bound: Address;
  readonly fd: number;
}

/** What was handed down. */
export interface Inheritance {
  /** 2 for the first one that inherits. */
  readonly generation: number;
  readonly listen: InheritedSocket;
  readonly admin: InheritedSocket | null;
}

/**
 * Reads what was handed down; null for a process that a person or a process manager started.
 * Throws a ConfigError where somebody else has set the variable.
 */
export function readInheritance(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Inheritance | null {
  const text = env[INHERITANCE_VARIABLE];
  if (text === undefined || text === "") return null;
  try {
    const { generation, listen, admin } = JSON.parse(text) as Inheritance;
    if (Number.isInteger(generation) && isSocket(listen) && (admin === null || isSocket(admin))) {
      return { generation, listen, admin };
    }
  } catch {
    // As below.
  }
  throw new ConfigError(INHERITANCE_VARIABLE, "is for a proxy that hands over only: unset it");
}

function isSocket(socket: InheritedSocket | undefined): boolean {
  return Number.isInteger(socket?.fd) && isAddress(socket?.configured) && isAddress(socket?.bound);
}

function isAddress(address: Address | undefined): boolean {
  return typeof address?.host === "string" && Number.isInteger(address.port);
}

/** The environment of the next generation. */
export function bequeath(
  inheritance: Inheritance,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> {
  return { ...env, [INHERITANCE_VARIABLE]: JSON.stringify(inheritance) };
}
