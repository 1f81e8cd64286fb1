import { LOAD_CPU } from "../host/machine.ts";
import { type Memory, readMemory } from "../host/proc-memory.ts";
import { cpuGrowth, readCpuTime } from "../host/proc-stat.ts";
import { OpenConnections } from "../load/open-connections.ts";
import { runWrk, type WrkReport } from "../load/wrk.ts";
import type { Peer } from "../peers/peer.ts";
import type { Case } from "./case.ts";

/** One measurement of one proxy in one case: CPU time per request, and memory right after it. */
export interface CpuSample extends Memory {
  readonly userMicros: number;
  readonly systemMicros: number;
  readonly perSecond: number;
}

/** What a load that saturates needs to know of the run. */
export interface LoadSettings {
  /** Path of wrk. */
  readonly wrk: string;
  readonly seconds: number;
}

/** Measures one proxy in one case, after a load that does not count. */
export async function measureCpu(
  { wrk, seconds, warmUpSeconds }: LoadSettings & { readonly warmUpSeconds: number },
  peer: Peer,
  each: Case,
): Promise<CpuSample> {
  const open = await OpenConnections.open(peer.port, each.openConnections, each.request.fields);
  if (warmUpSeconds > 0) await saturate({ wrk, seconds: warmUpSeconds }, peer.port, each);
  const before = await readCpuTime(peer.child.pid);
  const report = await saturate({ wrk, seconds }, peer.port, each);
  const used = cpuGrowth(before, await readCpuTime(peer.child.pid));
  const memory = await readMemory(peer.child.pid);
  open.close();
  return {
    userMicros: used.userMicros / report.requests,
    systemMicros: used.systemMicros / report.requests,
    perSecond: perSecondOf(report),
    ...memory,
  };
}

/** A closed loop: as many requests as its connections carry. */
export function saturate(
  { wrk, seconds }: LoadSettings,
  port: number,
  { connections, request }: Case,
): Promise<WrkReport> {
  return runWrk({ wrk, port, connections, seconds, request, cpu: LOAD_CPU });
}

/** Requests a second of a run. */
export function perSecondOf(report: WrkReport): number {
  return report.requests / (report.durationMicros / 1e6);
}
