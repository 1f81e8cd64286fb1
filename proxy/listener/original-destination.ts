import { connect, createServer, type Server, type Socket } from "node:net";
import { type Address, formatAddress } from "../../core/address.ts";
import { CLOUD_METADATA } from "../../core/cloud-metadata.ts";
import type { Networks } from "../../core/networks.ts";
import type { IntendedAddress } from "../message/stream.ts";
import { readOwnNetworks } from "./own-networks.ts";

/**
 * Where an intercepted connection was meant to go, as the kernel remembers it.
 *
 * Before: listener/listener.ts. After: downstream/http1-connection.ts, exchange/exchange.ts.
 * THE ONE FILE of the proxy that knows of `socket._handle.fd`, which Node does not document, and of
 * koffi, by which the kernel is asked; a test of both at the start says so if one of them has changed.
 * Invariant: a connection that was not redirected is not taken for one that was: it is none, or the
 * proxy would forward to itself, or wherever whoever dials it likes.
 * Once per connection, not per request.
 */
export class OriginalDestinations {
  readonly #ask: GetSocketOption;
  readonly #value = Buffer.alloc(SOCKADDR_BYTES);
  readonly #length = Buffer.alloc(4);

  private constructor(ask: GetSocketOption) {
    this.#ask = ask;
  }

  /** Loads what is needed; rejects with a sentence for the operator where this machine cannot do it. */
  static async open(): Promise<OriginalDestinations> {
    if (process.platform !== "linux") throw new Error("connections are intercepted on Linux only");
    const destinations = new OriginalDestinations(await loadGetSocketOption());
    await destinations.#test();
    return destinations;
  }

  /** Where the connection was meant to go; null if it was dialled to where it arrived. */
  read(socket: Socket): IntendedAddress | null {
    const isIpv4 = socket.remoteFamily === "IPv4" || isMapped(socket.remoteAddress);
    const option = isIpv4 ? SOL_IP : SOL_IPV6;
    if (!this.#get(socket, option, SO_ORIGINAL_DST)) return null;
    const intended = isIpv4 ? readIpv4(this.#value) : readIpv6(this.#value);
    return isSame(intended, socket) ? null : intended;
  }

  #get(socket: Socket, level: number, name: number): boolean {
    this.#length.writeInt32LE(SOCKADDR_BYTES);
    return this.#ask(descriptorOf(socket), level, name, this.#value, this.#length) === 0;
  }

  /** A connection to ourselves: do descriptor and call answer what is known? */
  async #test(): Promise<void> {
    const { server, accepted } = await connectToOurselves();
    const isStream = this.#get(accepted, SOL_SOCKET, SO_TYPE) && this.#value[0] === SOCK_STREAM;
    const isInet = this.#get(accepted, SOL_SOCKET, SO_DOMAIN) && this.#value[0] === AF_INET;
    accepted.destroy();
    server.close();
    if (isStream && isInet) return;
    throw new Error("getsockopt gives wrong answers for a socket of this Node; report its version");
  }
}

/** Judges where an intercepted connection may be delivered. */
export class OwnAddresses {
  readonly #listenPorts: readonly number[];
  #known: Networks | null = null;
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** The ports are the proxy's own. */
  constructor(listenPorts: readonly number[]) {
    this.#listenPorts = listenPorts;
  }

  /**
   * Whether the proxy may deliver what came in there. Not to its own port; not to a link-local address, which is
   * a neighbour's or a cloud's metadata; not to another machine: that would be an open relay.
   */
  mayServe({ address, port }: IntendedAddress, nowMs: number): boolean {
    if (port === 0 || this.#listenPorts.includes(port) || LINK_LOCAL.test(address)) return false;
    return this.#isOwn(address, nowMs);
  }

  /**
   * Whether a call may go there: one that this machine made, `from` is who connected, and not to the
   * proxy itself, to a link-local address or to a cloud's metadata, for which the caller needs no proxy.
   */
  mayCall({ address, port }: IntendedAddress, from: string, nowMs: number): boolean {
    if (port === 0 || LINK_LOCAL.test(address) || METADATA.includes(address)) return false;
    if (!this.#isOwn(isMapped(from) ? from.slice(MAPPED.length) : from, nowMs)) return false;
    return !(this.#listenPorts.includes(port) && this.#isOwn(address, nowMs));
  }

  #isOwn(address: string, nowMs: number): boolean {
    if (address.startsWith("127.") || address === "::1") return true;
    if (this.#known?.includes(address) === true) return true;
    if (nowMs - this.#readAtMs < OWN_ADDRESSES_MS) return false;
    this.#readAtMs = nowMs;
    this.#known = readOwnNetworks();
    return this.#known.includes(address);
  }
}

/**
 * `host:port` that the requests of an intercepted connection go to as their baseline. `upstream` is
 * the setting: its host `original` stands for the address as dialled, its port 0 for the port.
 */
export function interceptedBaseline(upstream: Address, intended: IntendedAddress): string {
  const host = upstream.host === AS_DIALLED ? intended.address : upstream.host;
  return formatAddress({ host, port: upstream.port === 0 ? intended.port : upstream.port });
}

/** The host of `--upstream` that stands for the address as dialled. */
export const AS_DIALLED = "original";

type GetSocketOption = (
  descriptor: number,
  level: number,
  name: number,
  value: Buffer,
  length: Buffer,
) => number;

/** Of Linux: asm-generic/socket.h, linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h. */
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_DOMAIN = 39;
const SOCK_STREAM = 1;
const AF_INET = 2;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
/** A `sockaddr_in6`, which is the longer one. */
const SOCKADDR_BYTES = 28;

/** Addresses of a machine seldom change, and who asks for a wrong one shall not cost much. */
const OWN_ADDRESSES_MS = 1_000;

const LINK_LOCAL = /^(?:169\.254\.|fe[89ab][0-9a-f]:)/i;
const METADATA: readonly string[] = Object.values(CLOUD_METADATA);
const MAPPED = "::ffff:";

async function loadGetSocketOption(): Promise<GetSocketOption> {
  const signature =
    "int getsockopt(int descriptor, int level, int name, void *value, void *length)";
  try {
    const { default: koffi } = await import("koffi");
    return koffi.load(null).func(signature) as GetSocketOption;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`koffi, by which the kernel is asked, cannot be loaded: ${why}`);
  }
}

/** The number that the kernel knows the socket by. */
function descriptorOf(socket: Socket): number {
  const { _handle } = socket as { readonly _handle?: { readonly fd?: unknown } | null };
  return typeof _handle?.fd === "number" ? _handle.fd : -1;
}

async function connectToOurselves(): Promise<{ server: Server; accepted: Socket }> {
  return await new Promise((resolve, reject) => {
    const server = createServer((accepted) => resolve({ server, accepted }));
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const bound = server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : 0;
      const caller = connect(port, "127.0.0.1");
      caller.on("error", reject);
      caller.resume();
    });
  });
}

/** `sockaddr_in`: family, port and address, the latter two in network order. */
function readIpv4(value: Buffer): IntendedAddress {
  return { address: value.subarray(4, 8).join("."), port: value.readUInt16BE(2) };
}

/** `sockaddr_in6`: family, port, flow, address, scope. The address as Node writes it. */
function readIpv6(value: Buffer): IntendedAddress {
  const groups = Array.from({ length: 8 }, (_, i) => value.readUInt16BE(8 + 2 * i).toString(16));
  const { hostname } = new URL(`http://[${groups.join(":")}]`);
  return { address: hostname.slice(1, -1), port: value.readUInt16BE(2) };
}

/** The call also answers for a connection that was never redirected: with where it arrived. */
function isSame(intended: IntendedAddress, socket: Socket): boolean {
  const local = socket.localAddress ?? "";
  const address = isMapped(local) ? local.slice(MAPPED.length) : local;
  return intended.port === socket.localPort && intended.address === address;
}

function isMapped(address: string | undefined): boolean {
  return address?.startsWith(MAPPED) === true && address.includes(".");
}
