import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { invariant } from "../../core/invariant.ts";
import { type Networks, parseNetworks } from "../../core/networks.ts";

/**
 * The addresses that the kernel takes for this machine's: those of its interfaces, and those that are
 * its own by a route only (`ip route add local 203.0.113.9 dev lo`), as load balancers deliver them.
 *
 * Before: listener/original-destination.ts. After: core/networks.ts.
 * Invariant: only tables that hold for every packet count; those of rules of their own (TPROXY's
 * `local default`) say nothing of what is ours.
 * Once a second at most.
 */
export function readOwnNetworks(): Networks {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const networks = parseNetworks([
    ...all.map(({ address }) => address),
    ...ownIpv4Routes(read("/proc/net/fib_trie")),
    ...ownIpv6Routes(read("/proc/net/ipv6_route")),
  ]);
  invariant(networks.ok, "what the kernel says of its addresses can be read");
  return networks.value;
}

/** Reads `|-- 203.0.113.9`, and under it `/32 host LOCAL`, of the tables Main and Local. */
export function ownIpv4Routes(trie: string): string[] {
  const routes = new Set<string>();
  let isOurTable = false;
  let address = "";
  for (const line of trie.split("\n")) {
    const table = /^(\S.*):$/.exec(line)?.[1];
    if (table !== undefined) isOurTable = table === "Main" || table === "Local";
    address = /\|-- ([0-9.]+)$/.exec(line)?.[1] ?? address;
    const bits = /^\s+\/(\d+) host LOCAL\b/.exec(line)?.[1];
    if (isOurTable && bits !== undefined) routes.add(`${address}/${bits}`);
  }
  return [...routes];
}

/** RTF_LOCAL of linux/ipv6_route.h. */
const RTF_LOCAL = 0x8000_0000n;

/** Reads lines of `address bits ... flags device`, all in hex. */
export function ownIpv6Routes(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [address = "", bits = "", , , , , , , flags = ""] = line.trim().split(/\s+/);
    if (!/^[0-9a-f]{8}$/.test(flags) || (BigInt(`0x${flags}`) & RTF_LOCAL) === 0n) return [];
    return [`${(address.match(/.{4}/g) ?? []).join(":")}/${Number.parseInt(bits, 16)}`];
  });
}

/** Empty where this kernel has no such file. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
