import { setFlagsFromString } from "node:v8";

/**
 * Keeps the heap's young generation as small as it starts.
 *
 * Before: main.ts, worker.ts. After: V8.
 * Under load V8 doubles it up to 32 MB, since programs that keep what they make gain by that. What an
 * exchange makes is garbage when it ends, whatever the size, so here it only costs memory: compare with
 * `npm run bench:compare -- --only tagged,memory` and a build without this call.
 * Whoever says on Node's command line how large it is to be is obeyed: then nothing is changed.
 * The flag is read each time it would grow, so it may be set while V8 runs; one that does not know it
 * ignores it.
 */
export function keepYoungGenerationSmall(): void {
  if (process.execArgv.some((flag) => /semi[-_]space/.test(flag))) return;
  setFlagsFromString("--semi-space-growth-factor=1");
}
