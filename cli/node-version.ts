/** Oldest major version of Node that runs everything here; the same as `engines` in package.json. */
export const NODE_MAJOR_MIN = 24;

/** Says in one line why `version` (such as `22.11.0`) is too old and what to do; null if it is not. */
export function nodeVersionProblem(version: string): string | null {
  if (Number.parseInt(version, 10) >= NODE_MAJOR_MIN) return null;
  return `Node ${version} is too old, ${NODE_MAJOR_MIN} or newer is needed; run it by an npm script of this package (npm brings a Node with it) or install Node ${NODE_MAJOR_MIN}`;
}
