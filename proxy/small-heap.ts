import { Buffer } from "node:buffer";
import { setFlagsFromString } from "node:v8";

/**
 * Keeps V8 and Node from taking memory that gains nothing here: thousands of these processes stand beside others.
 *
 * Before: main.ts, worker.ts. After: V8, and Node's buffers.
 * Compare with `npm run bench:compare -- --only untagged,tagged,memory`, and a build without a line.
 * A flag that was given on Node's command line is obeyed. V8 reads these each time that it needs to know,
 * so they may be set while it runs; one that does not know a flag ignores it.
 */
export function keepHeapSmall(): void {
  // Under load the young generation is doubled up to 32 MB, since programs that keep what they make gain
  // by that. What an exchange makes is garbage when it ends, whatever the size.
  if (!isGiven(/semi[-_]space/)) setFlagsFromString("--semi-space-growth-factor=1");
  // The compiler between the first and the last: its threads keep what they worked with, 15 MB after the
  // first thousand requests, and soon all that is hot is compiled by the last one anyway.
  if (!isGiven(/maglev/)) setFlagsFromString("--no-maglev");
  // What became garbage late is collected when there is a quarter more than was in use, not four times
  // as much.
  if (!isGiven(/heap[-_]growing/)) setFlagsFromString("--heap-growing-percent=25");
  Buffer.poolSize = POOL_BYTES;
}

/**
 * Buffers shorter than half of this are parts of one of this length, which is there for as long as one of them
 * is. Node 26 has 64 KiB: a request of 200 bytes that waits for its response, or a body that comes slowly,
 * would hold as much.
 */
const POOL_BYTES = 8 * 1024;

/**
 * Gives back what the start has left behind (modules, the text of the table, 7 MB with 10,000 keys): once,
 * before there is traffic, since it takes 50 ms. Only where Node lets us (`--expose-gc`, which
 * own-process/become.ts gives).
 */
export function giveBackMemoryOfStart(): void {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

function isGiven(flag: RegExp): boolean {
  return process.execArgv.some((given) => flag.test(given));
}
