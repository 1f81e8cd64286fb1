import type { TableDocument } from "../../../core/watch-events.ts";
import { ELSEWHERE_KEY } from "../peer.ts";

/** The routing table of a Forklane that does the job of the peers: every key leads to the fork. */
export function forkTable(keys: readonly string[], forkPort: number): TableDocument {
  const routes = keys.map((key) => {
    return [key, { sandbox: key, endpoints: [`127.0.0.1:${forkPort}`] }] as const;
  });
  return { revision: 1, routes: Object.fromEntries(routes), known: [...keys, ELSEWHERE_KEY] };
}

/** The table of a proxy on the way to a fork: it knows the keys, and forks nothing. */
export function knownTable(keys: readonly string[]): TableDocument {
  return { revision: 1, routes: {}, known: [...keys] };
}
