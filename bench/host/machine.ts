import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { BenchError } from "../bench-error.ts";

/** The machine of a run; figures of two machines are never compared. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  /** Processes that wanted a CPU in the minute before, on average: what else went on. */
  readonly loadBefore: number;
}

/** Above this something else uses a good part of a CPU, and latencies show that instead. */
const QUIET_LOAD_MAX = 0.5;

/** CPU of what is measured, and CPU of what causes and answers its load. */
export const MEASURED_CPU = 0;
export const LOAD_CPU = 1;

/** Describes this machine. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** Warns of a machine on which others are at work; null on a quiet one. */
export function busyWarning(machine: Pick<Machine, "loadBefore">): string | null {
  if (machine.loadBefore <= QUIET_LOAD_MAX) return null;
  const load = machine.loadBefore.toFixed(1);
  return `the machine was busy when this began (load ${load}): do not rely on latencies, least of all p99`;
}

/** Fails where CPU time per process cannot be read or nothing can be pinned to a CPU. */
export function requireTwoLinuxCpus(scenario: string): void {
  if (process.platform !== "linux") {
    throw new BenchError(`${scenario} needs Linux: it reads /proc and pins processes by taskset`);
  }
  if (availableParallelism() < 2) {
    throw new BenchError(`${scenario} needs two CPUs: one for the proxy, one for its load`);
  }
}
