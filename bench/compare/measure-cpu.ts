import { LOAD_CPU } from "../host/machine.ts";
import { type Memory, readMemory } from "../host/proc-memory.ts";
import { cpuGrowth, readCpuTime } from "../host/proc-stat.ts";
import { OpenConnections } from "../load/open-connections.ts";
import { runWrk, type WrkReport } from "../load/wrk.ts";
import type { Peer } from "../peers/peer.ts";
import { type Case, fieldsOf } from "./case.ts";

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

/** A load that does not count: it ends when either is reached, after a second at least. */
export interface WarmUp {
  readonly requests: number;
  readonly secondsMax: number;
}

/** Measures one proxy in one case, after a load that does not count. */
export async function measureCpu(
  { wrk, seconds }: LoadSettings,
  warmUp: WarmUp | null,
  peer: Peer,
  each: Case,
): Promise<CpuSample> {
  const open = await OpenConnections.open(peer.port, each.openConnections, (connection) =>
    fieldsOf(each.request, connection),
  );
  if (warmUp !== null) await warm(wrk, warmUp, peer.port, each);
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

async function warm(wrk: string, until: WarmUp, port: number, each: Case): Promise<void> {
  let requests = 0;
  for (let second = 0; second < until.secondsMax; second++) {
    requests += (await saturate({ wrk, seconds: 1 }, port, each)).requests;
    if (requests >= until.requests) return;
  }
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
