import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { BenchError } from "../bench-error.ts";

/** CPU time that a process, all of its threads together, has used since it started. */
export interface CpuTime {
  readonly userMicros: number;
  readonly systemMicros: number;
}

/** Length of a tick of /proc in microseconds: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MICROS = 10_000;

/** Fields after the name, counted from 0 (proc(5)): parent, user time, system time. */
const PARENT = 1;
const USER = 11;
const SYSTEM = 12;
/** The same of children that were waited for. */
const ENDED_USER = 13;
const ENDED_SYSTEM = 14;

/** Reads the CPU time of a process and of all its descendants (nginx's worker, Node's workers). */
export async function readCpuTime(pid: number): Promise<CpuTime> {
  const pids = [pid, ...(await findDescendants(pid))];
  let userMicros = 0;
  let systemMicros = 0;
  for (const each of pids) {
    const stat = parseStat(readStat(each));
    userMicros += stat.userMicros;
    systemMicros += stat.systemMicros;
  }
  return { userMicros, systemMicros };
}

/** CPU time of the processes that this one started and that have ended, their children included. */
export function readEndedChildrenTime(): CpuTime {
  const line = readStat(process.pid);
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return {
    userMicros: Number(fields[ENDED_USER]) * TICK_MICROS,
    systemMicros: Number(fields[ENDED_SYSTEM]) * TICK_MICROS,
  };
}

/** Reads one line of /proc/PID/stat; the name in brackets may hold spaces and brackets itself. */
export function parseStat(line: string): CpuTime & { readonly parent: number } {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const numberAt = (index: number): number => {
    const value = Number(fields[index] ?? "x");
    if (!Number.isFinite(value)) throw new BenchError(`"${line}" is no line of /proc/PID/stat`);
    return value;
  };
  return {
    parent: numberAt(PARENT),
    userMicros: numberAt(USER) * TICK_MICROS,
    systemMicros: numberAt(SYSTEM) * TICK_MICROS,
  };
}

/** What was used between two readings. */
export function cpuGrowth(before: CpuTime, after: CpuTime): CpuTime {
  return {
    userMicros: after.userMicros - before.userMicros,
    systemMicros: after.systemMicros - before.systemMicros,
  };
}

/** Adds readings of several processes. */
export function sumCpuTime(times: readonly CpuTime[]): CpuTime {
  return {
    userMicros: times.reduce((sum, time) => sum + time.userMicros, 0),
    systemMicros: times.reduce((sum, time) => sum + time.systemMicros, 0),
  };
}

/** All processes below `root`, at any depth. */
export async function findDescendants(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/stat`, "utf8").catch(() => null);
    if (line !== null) parents.set(Number(name), parseStat(line).parent);
  }
  return [...parents.keys()].filter((pid) => pid !== root && descends(pid, root, parents));
}

function descends(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at)) {
    if (at === root) return true;
  }
  return false;
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (cause) {
    throw new BenchError(`process ${pid} ended while it was measured`, { cause });
  }
}
