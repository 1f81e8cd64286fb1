import { extname, join } from "node:path";
import { readProxyConfig } from "../config.ts";
import { FLAGS_VARIABLE, type Flags, withFlags } from "./config.ts";

/**
 * Makes of the process that read the command line one that is a proxy, and nothing else: the same id,
 * standard streams and words, but Node begins anew.
 *
 * Before: cli/commands/proxy.ts. After: main.ts, in the process that takes over.
 * Why: what a command line needs stays in memory, 4 MB of it, and some of what V8 and the C library take
 * by the number of their threads can be said at the start of a process only. Thousands of these processes
 * stand beside others.
 *
 * It answers, and has changed nothing, where that cannot be: on systems other than Linux, in a process
 * whose parent holds a channel to it (it would be lost), where the system or Node refuses, where there are
 * more flags than the environment holds, and where the settings are wrong, which is then said by whoever
 * goes on.
 */
export function becomeProxy(flags: Flags): void {
  if (process.platform !== "linux" || process.execve === undefined) return;
  if (process.channel !== undefined && process.channel !== null) return;
  if (!readProxyConfig(flags).ok) return;
  // The ending is that of this file: dist/ has no TypeScript.
  const entry = join(import.meta.dirname, `main${extname(import.meta.filename)}`);
  const [, , ...words] = process.argv;
  const command = [process.execPath, ...nodeFlags(process.execArgv), entry, ...words];
  const environment = { ...MALLOC_SETTINGS, ...withFlags(flags) };
  if (Buffer.byteLength(environment[FLAGS_VARIABLE] ?? "") > VARIABLE_BYTES_MAX) return;
  try {
    process.execve(process.execPath, command, environment);
  } catch {
    // The system refuses, or Node was told to (`--permission`): the proxy runs all the same.
  }
}

/** Linux takes 128 KiB; where it takes less than it is given, older Nodes end. */
const VARIABLE_BYTES_MAX = 100_000;

/** What Node is told of a proxy, in place of its defaults. */
const NODE_FLAGS: readonly string[] = [
  // One thread beside its own where V8 compiles and collects garbage, not four: a proxy has less than one CPU
  // as a rule, and what each thread has worked with stays its own.
  "--v8-pool-size=1",
  // See giveBackMemoryOfStart in small-heap.ts.
  "--expose-gc",
  // Anybody who may signal it would have Node open a port for its debugger.
  "--disable-sigusr1",
];

/**
 * What the C library is told, where it is glibc and nobody told it otherwise: to give back what is free at
 * the end of its memory, and not to raise that bound by itself. What the compiler has worked with stays its
 * own otherwise (`npm run bench:compare -- --only memory`, with a build that does not say it). And to ask the
 * system for each block from 24 KiB on, and give it back when it is free: those of thousands of long heads and
 * bodies stayed in between smaller ones, 390 MB after 5,000 heads of 56 KB and 135 with this (throw-away script).
 */
const MALLOC_SETTINGS: Readonly<Record<string, string>> = {
  MALLOC_TRIM_THRESHOLD_: "65536",
  MALLOC_TOP_PAD_: "65536",
  MALLOC_MMAP_THRESHOLD_: "24576",
};

/** What somebody gave is obeyed, also `--no-disable-sigusr1`. */
function nodeFlags(given: readonly string[]): string[] {
  const name = (flag: string) => flag.split("=", 1)[0]?.replace(/^--no-/, "--");
  const ours = NODE_FLAGS.filter((flag) => !given.some((other) => name(other) === name(flag)));
  return [...ours, ...given];
}
