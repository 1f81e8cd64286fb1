/** What V8 writes with `--cpu-prof`: a sample of the running function about every millisecond. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Ids of nodes. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A function in the place of the call tree where it was seen. */
interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

/** A function, or a file, and its own share of the busy time (callees not included). */
export interface ProfileShare {
  readonly what: string;
  readonly share: number;
}

/** Time in which nothing ran is no time of the program. */
const IDLE = "(idle)";

/** Shares of functions, largest first. */
export function sharesByFunction(profile: CpuProfile, count: number): ProfileShare[] {
  return shares(profile, count, (node) => {
    const name = node.callFrame.functionName || "(anonymous)";
    const file = shortPath(node.callFrame.url);
    return file === "" ? name : `${name} ${file}:${node.callFrame.lineNumber + 1}`;
  });
}

/** Shares of files, largest first; what V8 and the kernel do on their own is one line each. */
export function sharesByFile(profile: CpuProfile, count: number): ProfileShare[] {
  return shares(profile, count, (node) => {
    return shortPath(node.callFrame.url) || node.callFrame.functionName || "(anonymous)";
  });
}

function shares(
  profile: CpuProfile,
  count: number,
  labelOf: (node: ProfileNode) => string,
): ProfileShare[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const micros = new Map<string, number>();
  let busy = 0;
  for (const [i, id] of profile.samples.entries()) {
    const node = nodes.get(id);
    if (node === undefined || node.callFrame.functionName === IDLE) continue;
    const delta = Math.max(0, profile.timeDeltas[i] ?? 0);
    const label = labelOf(node);
    micros.set(label, (micros.get(label) ?? 0) + delta);
    busy += delta;
  }
  return [...micros]
    .map(([what, own]) => ({ what, share: own / busy }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, count);
}

/** From the project's folder on: `proxy/http1/parse-head.ts`, `node:net`. */
function shortPath(url: string): string {
  const path = url.replace(/^file:\/\//, "");
  return /(?:^|\/)((?:core|proxy|control|cli|node_modules)\/.*)$/.exec(path)?.[1] ?? path;
}
