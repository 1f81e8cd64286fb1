import { readFileSync } from "node:fs";
import type { Limits } from "../limits.ts";

/**
 * Fits the limit of connections to the files that the process may have open.
 *
 * Before: proxy/proxy.ts. After: listener/listener.ts.
 * Invariant: callers, of all listeners, get at most half of them, since each may need an upstream connection too: so
 * they cannot take what those in progress need.
 */
export function fitToOpenFiles(
  limits: Limits,
  openFilesMax = readOpenFilesMax(),
  listeners = 1,
): Limits {
  const half = Math.max(1, Math.floor(openFilesMax / 2 / listeners));
  if (limits.downstreamConnectionsMax <= half) return limits;
  return Object.freeze({ ...limits, downstreamConnectionsMax: half });
}

/** The soft limit of open files, which Node raises to the hard one; endless where nothing tells it. */
function readOpenFilesMax(): number {
  try {
    const line = /^Max open files +([0-9]+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    return line === null ? Number.POSITIVE_INFINITY : Number(line[1]);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
