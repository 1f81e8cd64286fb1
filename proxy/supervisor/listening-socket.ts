import { lookup } from "node:dns/promises";
import { closeSync } from "node:fs";
import net, { type BoundSocket } from "node:net";
import type { Address } from "../../core/address.ts";
import { ConfigError } from "../config.ts";

/**
 * A bound socket that outlives the processes which take connections from it.
 *
 * Before: supervisor.ts. After: worker-process.ts hands it to workers, successor.ts to the next
 * generation.
 * Invariant: while one process holds it, what waits in its queue is neither refused nor reset.
 */
export class ListeningSocket {
  /** The address as it was configured; its port may be 0. */
  readonly configured: Address;
  /** The same with the port that it has. */
  readonly bound: Address;
  /** What the kernel knows it by in this process. */
  readonly fd: number;
  /** What a server of this process may listen with; the socket is that server's then. */
  readonly target: BoundSocket | { readonly fd: number };

  private constructor(configured: Address, port: number, target: BoundSocket | { fd: number }) {
    this.configured = configured;
    this.bound = { host: configured.host, port };
    this.target = target;
    this.fd = typeof target.fd === "number" ? target.fd : target.fd();
  }

  /** Binds; throws the system's error (`EADDRINUSE`), or a ConfigError where this Node cannot. */
  static async bind(address: Address): Promise<ListeningSocket> {
    // Since Node 26.4 and late 24s; before, nothing binds without accepting, too.
    if (net.BoundSocket === undefined || process.platform === "win32") {
      throw new ConfigError(
        "--workers",
        "more than one needs Node 26.4 or a late 24, and no Windows",
      );
    }
    const host = (await lookup(address.host)).address;
    const socket = new net.BoundSocket({ host, port: address.port });
    return new ListeningSocket(address, socket.address().port, socket);
  }

  /** Takes over what the generation before hands down. */
  static inherited(configured: Address, bound: Address, fd: number): ListeningSocket {
    return new ListeningSocket(configured, bound.port, { fd });
  }

  /** Lets go of it; whoever was handed it goes on. Not where a server has it. */
  close(): void {
    if ("close" in this.target) this.target.close();
    else closeSync(this.fd);
  }
}
