import type { Socket } from "node:net";
import type { Address } from "../../core/address.ts";
import type { Intercepted } from "../downstream/http1-connection.ts";
import {
  AS_DIALLED,
  interceptedBaseline,
  OriginalDestinations,
  OwnAddresses,
} from "./original-destination.ts";

/**
 * Where connections that the kernel redirects were meant to go, in either direction.
 *
 * Before: listener/listener.ts. After: listener/original-destination.ts.
 * Invariants: what comes in goes to this machine; what goes out comes from it; neither goes to the
 * proxy itself, or to a link-local address.
 * Once per connection, not per request.
 */
export interface Interception {
  /** Null for one that was not redirected, or meant for an address that is not to be served. */
  intercepted(socket: Socket): Intercepted | null;
}

/** What may be intercepted by one process. */
export interface Interceptions {
  /** Connections to the service; `upstream` is the setting (original-destination.ts). */
  inbound(upstream: Address): Interception;
  /** Connections that the service opens. */
  outbound(): Interception;
}

/** `listenPorts` are the proxy's own. Rejects with a sentence where this machine cannot do it. */
export async function openInterceptions(listenPorts: readonly number[]): Promise<Interceptions> {
  const destinations = await OriginalDestinations.open();
  const own = new OwnAddresses(listenPorts);
  return {
    inbound: (upstream) => ({
      intercepted(socket) {
        const intendedAddress = destinations.read(socket);
        if (intendedAddress === null || !own.mayServe(intendedAddress, performance.now())) {
          return null;
        }
        return { intendedAddress, baseline: interceptedBaseline(upstream, intendedAddress) };
      },
    }),
    outbound: () => ({
      intercepted(socket) {
        const intendedAddress = destinations.read(socket);
        const from = socket.remoteAddress ?? "";
        if (intendedAddress === null || !own.mayCall(intendedAddress, from, performance.now())) {
          return null;
        }
        return { intendedAddress, baseline: interceptedBaseline(AS_MEANT, intendedAddress) };
      },
    }),
  };
}

/** Calls go where they were meant to go. */
const AS_MEANT: Address = { host: AS_DIALLED, port: 0 };
