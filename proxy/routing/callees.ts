import { formatAddress, parseAddress } from "../../core/address.ts";
import { emptyWorkload, type RoutingTable, type WorkloadTable } from "./table.ts";
import type { CheckedWorkload } from "./table-document.ts";
import { parseTagValue, type Tag } from "./tag.ts";

/**
 * Whom a call is for: the name or the address that a caller used, to the workload behind it.
 *
 * Before: exchange/outbound-call.ts. After: routing/decide.ts.
 * Invariants: what two workloads claim belongs to neither; a name with a port is that port only.
 * Made once per table; a lookup is one or two looks into a map.
 */
export class Callees {
  readonly #byHost = new Map<string, WorkloadTable | null>();
  readonly #byAddress = new Map<string, WorkloadTable | null>();
  readonly #table: RoutingTable;

  constructor(table: RoutingTable) {
    this.#table = table;
    for (const workload of table.workloads.values()) {
      for (const host of workload.hosts) claim(this.#byHost, host, workload);
      for (const address of workload.addresses) {
        claim(this.#byAddress, canonicalAddress(address), workload);
      }
    }
  }

  /** All workloads, also those that nobody can name. */
  workloads(): Iterable<WorkloadTable> {
    return this.#table.workloads.values();
  }

  /**
   * By Host as received (`Pricing.shop:8080`): with its port, then without; null if nobody's. A Host
   * without a port has `dialledPort`: callers leave out the one that is the protocol's.
   */
  byHost(authority: string, dialledPort = HTTP_PORT): WorkloadTable | null {
    // Names have no case (RFC 4343), and may end with the root's dot.
    const host = authority.toLowerCase();
    const colon = host.lastIndexOf(":");
    const name = withoutRoot(colon < 0 ? host : host.slice(0, colon));
    const port = colon < 0 ? `:${dialledPort}` : host.slice(colon);
    return either(this.#byHost, name + port, name);
  }

  /** By IP address (IPv6 without brackets) and the same with its port, as Node writes them; null if nobody's. */
  byAddress(address: string, endpoint: string): WorkloadTable | null {
    return either(this.#byAddress, endpoint, address);
  }
}

/** RFC 9110 section 4.2.1. */
const HTTP_PORT = 80;

/** Of the name that says more, also where that is nobody's because two claim it. */
function either(
  map: ReadonlyMap<string, WorkloadTable | null>,
  exact: string,
  whole: string,
): WorkloadTable | null {
  const known = map.get(exact);
  return known === undefined ? (map.get(whole) ?? null) : known;
}

/** What is known of callees beside the table: names and addresses, by workload. */
export type CalleePlaces = ReadonlyMap<
  string,
  Pick<CheckedWorkload, "hosts" | "addresses" | "baseline">
>;

/** The table with these places added to its own; a workload that it lacks has no forks. */
export function withPlaces(table: RoutingTable, places: CalleePlaces): RoutingTable {
  if (places.size === 0) return table;
  const workloads = new Map(table.workloads);
  for (const [name, place] of places) {
    const workload = workloads.get(name) ?? emptyWorkload(table, name);
    workloads.set(name, {
      ...workload,
      hosts: [...new Set([...workload.hosts, ...place.hosts])],
      addresses: [...new Set([...workload.addresses, ...place.addresses])],
      baseline: workload.baseline ?? place.baseline,
    });
  }
  return { ...table, workloads };
}

/** What a table says of the calls of a service. */
export interface Calls {
  readonly callees: Callees;
  /** What a fork's calls are tagged with where they carry nothing; null: nothing. */
  readonly sandboxTag: Tag | null;
}

/** Reads a table for the calls of a service; `sandbox` is the one whose fork that is, if it is one. */
export function callsOf(table: RoutingTable, places: CalleePlaces, sandbox: string | null): Calls {
  const whole = withPlaces(table, places);
  const key = sandbox === null ? null : onlyKeyOf(whole, sandbox);
  return {
    callees: new Callees(whole),
    sandboxTag: key === null ? null : parseTagValue(key),
  };
}

/**
 * The one key that leads to forks of `sandbox`, anywhere in the table; null if none does, or several:
 * then nobody can say for whom the fork is at work.
 */
export function onlyKeyOf(table: RoutingTable, sandbox: string): string | null {
  const keys = new Set<string>();
  for (const { routes } of table.workloads.values()) {
    for (const [key, { route }] of routes) if (route?.sandbox === sandbox) keys.add(key);
  }
  const [key = null] = keys;
  return keys.size === 1 ? key : null;
}

function claim(
  map: Map<string, WorkloadTable | null>,
  name: string,
  workload: WorkloadTable,
): void {
  const other = map.get(name);
  map.set(name, other === undefined || other?.workload === workload.workload ? workload : null);
}

function withoutRoot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/** As the kernel's answer is written: IPv6 in its shortest form, in brackets before a port only. */
function canonicalAddress(text: string): string {
  const address = parseAddress(text);
  if (!address.ok || address.value.port === 0) return canonicalHost(text);
  return formatAddress({ ...address.value, host: canonicalHost(address.value.host) });
}

function canonicalHost(host: string): string {
  return host.includes(":") ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host;
}
