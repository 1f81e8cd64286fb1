import { readFile } from "node:fs/promises";
import { BenchError } from "../bench-error.ts";
import { findDescendants } from "./proc-stat.ts";

/** Memory of a process, in bytes (proc(5), smaps_rollup). */
export interface Memory {
  /** What it holds, pages shared with others counted by its share of them. */
  readonly pssBytes: number;
  /** What would be free without it, beyond files: pages that it wrote and shares with nobody. */
  readonly privateDirtyBytes: number;
}

/** Reads the memory of a process and of all its descendants. */
export async function readMemory(pid: number): Promise<Memory> {
  let pssBytes = 0;
  let privateDirtyBytes = 0;
  for (const each of [pid, ...(await findDescendants(pid))]) {
    const memory = parseSmapsRollup(await readRollup(each));
    pssBytes += memory.pssBytes;
    privateDirtyBytes += memory.privateDirtyBytes;
  }
  return { pssBytes, privateDirtyBytes };
}

/** Reads what the kernel writes in /proc/PID/smaps_rollup, whose unit is always kB of 1,024 bytes. */
export function parseSmapsRollup(text: string): Memory {
  const bytesOf = (name: string): number => {
    const kilobytes = new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1];
    if (kilobytes === undefined) throw new BenchError(`smaps_rollup says nothing of ${name}`);
    return Number(kilobytes) * 1_024;
  };
  return { pssBytes: bytesOf("Pss"), privateDirtyBytes: bytesOf("Private_Dirty") };
}

async function readRollup(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch((cause: unknown) => {
    throw new BenchError(`the memory of process ${pid} cannot be read`, { cause });
  });
}
