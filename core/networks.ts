import { BlockList, isIP } from "node:net";
import { err, ok, type Result } from "./result.ts";

/** A set of IP networks that answers whether an address lies in one of them. */
export interface Networks {
  readonly text: readonly string[];
  /** `address` is IPv4, IPv6 or IPv4-mapped IPv6; anything else is in no network. */
  includes(address: string): boolean;
}

/** Loopback and the private ranges (RFC 1918, RFC 4193, RFC 6598), where services of one cluster live. */
export const LOOPBACK_AND_PRIVATE: readonly string[] = [
  "127.0.0.0/8",
  "::1/128",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
];

const MAPPED_IPV4 = /^::ffff:[0-9.]+$/i;

/** Reads CIDR blocks (`10.0.0.0/8`) and bare addresses; the error names the first wrong one. */
export function parseNetworks(cidrs: readonly string[]): Result<Networks, string> {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const slash = cidr.indexOf("/");
    const address = slash < 0 ? cidr : cidr.slice(0, slash);
    // Node takes a zone (`fe80::1%eth0`) for a part of the address; a network has none.
    const family = address.includes("%") ? 0 : isIP(address);
    if (family === 0) return err(`"${cidr}" is not an IP network such as 10.0.0.0/8`);
    const bitsMax = family === 4 ? 32 : 128;
    const bitsText = slash < 0 ? String(bitsMax) : cidr.slice(slash + 1);
    if (!/^[0-9]{1,3}$/.test(bitsText) || Number(bitsText) > bitsMax) {
      return err(`"${cidr}" has a prefix length outside 0 to ${bitsMax}`);
    }
    list.addSubnet(address, Number(bitsText), family === 4 ? "ipv4" : "ipv6");
  }
  return ok(new AddressList(cidrs, list));
}

/** Addresses whose answer is remembered: a process meets the same few again and again. */
const REMEMBERED_MAX = 1_000;

/** See Networks. Hot path: looking an address up in the list itself costs a microsecond. */
class AddressList implements Networks {
  readonly text: readonly string[];
  readonly #list: BlockList;
  readonly #remembered = new Map<string, boolean>();

  constructor(text: readonly string[], list: BlockList) {
    this.text = text;
    this.#list = list;
  }

  includes(address: string): boolean {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    const answer = this.#lookUp(address);
    this.#remembered.set(address, answer);
    return answer;
  }

  #lookUp(address: string): boolean {
    // What an IPv6 socket says of an IPv4 peer.
    const plain = MAPPED_IPV4.test(address) ? address.slice(7) : address;
    const family = isIP(plain);
    return family !== 0 && this.#list.check(plain, family === 4 ? "ipv4" : "ipv6");
  }
}
