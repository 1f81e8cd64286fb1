/** Ways between hosts that are worse than a bridge: lossy and slow, narrow, or cut. */
import { join } from "node:path";
import { type Host, type Network, rootLink } from "./network.ts";

/** What a line does to packets, each way. */
export interface Line {
  readonly delayMs: number;
  readonly lossPercent: number;
  readonly seed: number;
}

const WIRE = join(import.meta.dirname, "wire.py");

/** Puts a line between a host and the bridge; its packets go one by one from then on. */
export async function putBehindLine(network: Network, host: Host, line: Line): Promise<void> {
  const wire = network.addHost(`w${host.ipv4.split(".").at(-1)}`);
  wire.must(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
  wire.must(["ip", "address", "flush", "dev", "eth0"]);
  moveLink(host, wire);
  host.must(["ip", "link", "set", "eth0", "gso_max_segs", "1"]);
  const words = [line.delayMs, line.lossPercent, line.seed].map(String);
  await wire.start(["python3", WIRE, "eth0", "far", ...words], "ready");
}

/** The other end of a host's link leaves the bridge, and is the interface `far` of another host. */
function moveLink(host: Host, to: Host): void {
  rootLink(["set", host.link, "nomaster"]);
  rootLink(["set", host.link, "netns", to.namespace]);
  to.must(["ip", "link", "set", host.link, "name", "far"]);
  to.must(["ip", "link", "set", "far", "up"]);
}

/** The smallest packets that an IPv6 path has to carry (RFC 8200, section 5). */
export const NARROW_BYTES = 1_280;

/**
 * Puts two routers between a host and the bridge, and between them a link of 1,280 bytes. Neither end
 * can see that on its own interface: it has to be told by the router in the middle. The routers answer
 * for `peer` and for the host, so that neither needs a route.
 */
export function putBehindNarrowPath(network: Network, host: Host, peer: Host): void {
  const far = network.addHost("narrow-far");
  const near = network.addHost("narrow-nr");
  far.must(["ip", "link", "delete", "eth0"]);
  // Without the check for duplicates, which takes a second.
  for (const router of [far, near]) {
    const all = "net.ipv6.conf.all";
    const v6 = ["forwarding=1", "proxy_ndp=1", "accept_dad=0"].map((each) => `${all}.${each}`);
    router.must(["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", ...v6]);
  }
  moveLink(host, far);
  near.must([
    "ip",
    "link",
    "add",
    "mid",
    "type",
    "veth",
    "peer",
    "name",
    "mid",
    "netns",
    far.namespace,
  ]);
  for (const router of [far, near]) {
    router.must(["ip", "link", "set", "mid", "mtu", String(NARROW_BYTES), "up"]);
    router.must(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.proxy_arp=1"]);
    // A router that answers for others waits a while, unless told not to.
    for (const link of ["mid", router === far ? "far" : "eth0"]) {
      for (const version of ["ipv4", "ipv6"]) {
        router.must(["sysctl", "-qw", `net.${version}.neigh.${link}.proxy_delay=0`]);
      }
    }
  }
  // What a router says of a packet that is too large comes from an address of its own.
  far.must(["ip", "address", "add", `${far.ipv4}/32`, "dev", "lo"]);
  far.must(["ip", "address", "add", `${far.ipv6}/128`, "dev", "lo"]);
  for (const [at, of] of [
    ["ipv4", "32"],
    ["ipv6", "128"],
  ] as const) {
    const route = ["ip", at === "ipv6" ? "-6" : "-4", "route", "add"];
    far.must([...route, `${host[at]}/${of}`, "dev", "far"]);
    far.must([...route, "default", "dev", "mid"]);
    near.must([...route, `${host[at]}/${of}`, "dev", "mid"]);
  }
  const answers = ["ip", "-6", "neigh", "add", "proxy"];
  far.must([...answers, peer.ipv6, "dev", "far"]);
  near.must([...answers, peer.ipv6, "dev", "mid"]);
  near.must([...answers, host.ipv6, "dev", "eth0"]);
  far.must([...answers, host.ipv6, "dev", "mid"]);
}

/** Takes a host off the network: nothing arrives any more, and nobody is told. */
export function vanish(host: Host): void {
  host.must(["ip", "link", "set", "eth0", "down"]);
}

/** Brings it back; its IPv6 address is lost. */
export function reappear(host: Host): void {
  host.must(["ip", "link", "set", "eth0", "up"]);
}
