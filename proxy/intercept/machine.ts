import { readFileSync } from "node:fs";
import { endianness } from "node:os";

/** A capability of Linux, by its number in linux/capability.h. */
const CAP_NET_ADMIN = 12;
/** The state of a socket in /proc/net/tcp that listens. */
const LISTENING = "0A";

/** Whether this process may change rules in its network namespace. */
export function mayChangeRules(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> BigInt(CAP_NET_ADMIN)) & 1n) === 1n;
}

/** Whether any interface here has an IPv6 address. */
export function hasIpv6(): boolean {
  return read("/proc/net/if_inet6") !== "";
}

/** Somebody who listens at a TCP port. */
export interface PortListener {
  readonly uid: number;
  /** As the kernel tells it: `0.0.0.0`, `127.0.0.1`, `::`; IPv6 without brackets. */
  readonly address: string;
}

/** Who listens at a TCP port in this network namespace. */
export function listeners(port: number): PortListener[] {
  return [read("/proc/net/tcp"), read("/proc/net/tcp6")].flatMap((table) =>
    listenersIn(table, port),
  );
}

/** Reads one table of /proc/net: `sl local_address rem_address st ... uid`, addresses in hex. */
export function listenersIn(table: string, port: number): PortListener[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const [, bound = "", , state, , , , uid] = line.trim().split(/\s+/);
    if (!bound.endsWith(suffix) || state !== LISTENING) return [];
    return [{ uid: Number(uid), address: readAddress(bound.slice(0, -suffix.length)) }];
  });
}

/** The kernel writes each 32 bits of an address as the machine has them in memory. */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.subarray(0, 12).equals(MAPPED)) return bytes.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** What an IPv6 socket has before an IPv4 address. */
const MAPPED = Buffer.from("00000000000000000000ffff", "hex");

/** A file of the kernel; empty where this kernel, or this namespace, has none. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
