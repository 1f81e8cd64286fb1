import { readFileSync } from "node:fs";

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

/** Users that listen at a TCP port in this network namespace, by their ids. */
export function listeners(port: number): number[] {
  return [read("/proc/net/tcp"), read("/proc/net/tcp6")].flatMap((table) =>
    listenersIn(table, port),
  );
}

/** Reads one table of /proc/net: `sl local_address rem_address st ... uid`, addresses in hex. */
export function listenersIn(table: string, port: number): number[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const isOurs = words[1]?.endsWith(suffix) === true && words[3] === LISTENING;
    return isOurs ? [Number(words[7])] : [];
  });
}

/** A file of the kernel; empty where this kernel, or this namespace, has none. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
