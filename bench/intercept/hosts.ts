/** Hosts of a run: network namespaces, each service's joined to the load's by a link of its own. */
import { spawnSync } from "node:child_process";
import { BenchError } from "../bench-error.ts";

/** What all names of ours begin with: leftovers of a run that was killed are found by it. */
const PREFIX = "flb-";
const LOAD = `${PREFIX}load`;

/** One host with a service. */
export interface ServiceHost {
  readonly namespace: string;
  readonly address: string;
  /** What stands before a command that shall run there. */
  readonly inside: readonly string[];
}

/** Where the load of most runs. */
export const INSIDE_LOAD: readonly string[] = insideOf(LOAD);

/** Two hosts of their own: one that calls, and the service that it calls. */
export interface Pair {
  /** What stands before a command that shall run at the caller. */
  readonly inside: readonly string[];
  readonly service: ServiceHost;
}

/** Makes the hosts; fails with what is missing where this machine cannot. */
export function createHosts<Name extends string>(
  names: readonly Name[],
): ReadonlyMap<Name, ServiceHost> {
  if (process.getuid?.() !== 0) {
    throw new BenchError("intercept needs root: it makes network namespaces and writes rules");
  }
  removeHosts();
  addNamespace(LOAD);
  return new Map(names.map((name, index) => [name, addServiceHost(name, index, LOAD)]));
}

/** Makes a caller and a service beside the hosts that there are. */
export function createPair(): Pair {
  const caller = `${PREFIX}caller`;
  addNamespace(caller);
  return { inside: insideOf(caller), service: addServiceHost("called", PAIR_INDEX, caller) };
}

/** Of the pair's network: more than there are other hosts. */
const PAIR_INDEX = 100;

/** Removes every host of ours; processes in them have to be stopped before. */
export function removeHosts(): void {
  const listed = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout ?? "";
  for (const [name] of listed.matchAll(new RegExp(`^${PREFIX}\\S+`, "gm"))) {
    spawnSync("ip", ["netns", "delete", name]);
  }
}

function addServiceHost(name: string, index: number, from: string): ServiceHost {
  const namespace = PREFIX + name;
  const link = `to-${name}`.slice(0, 15);
  // Private, since a proxy believes tags from such networks.
  const subnet = `10.77.${index}`;
  addNamespace(namespace);
  ip([
    "link",
    "add",
    link,
    "netns",
    from,
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    namespace,
  ]);
  for (const [where, device, last] of [
    [from, link, 1],
    [namespace, "eth0", 2],
  ] as const) {
    ip(["-n", where, "address", "add", `${subnet}.${last}/24`, "dev", device]);
    ip(["-n", where, "link", "set", device, "up"]);
  }
  return { namespace, address: `${subnet}.2`, inside: insideOf(namespace) };
}

function insideOf(namespace: string): readonly string[] {
  return ["ip", "netns", "exec", namespace];
}

function addNamespace(name: string): void {
  ip(["netns", "add", name]);
  ip(["-n", name, "link", "set", "lo", "up"]);
  // A connection for each request would use up the ports that wait after their end.
  run([...insideOf(name), "sysctl", "-qw", ...MANY_CONNECTIONS]);
}

const MANY_CONNECTIONS = ["net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=20000 65000"];

function ip(words: readonly string[]): void {
  run(["ip", ...words]);
}

/** Runs a command that has to succeed. */
export function run([program = "", ...args]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim();
  throw new BenchError(`${program} ${args.join(" ")}: ${why}; see test/tools/install.sh bench`);
}

/** What a command writes; what it exits with does not matter. */
export function capture([program = "", ...args]: readonly string[]): string {
  return spawnSync(program, args, { encoding: "utf8" }).stdout ?? "";
}
