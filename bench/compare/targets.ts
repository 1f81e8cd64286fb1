import { checkTarget, type Target } from "../measure/target.ts";
import { OURS } from "./contender.ts";
import { type CpuRow, pairedRatio } from "./cpu-rows.ts";
import type { LatencyRow } from "./latency-rows.ts";
import type { MemoryRow } from "./measure-memory.ts";

/** The bounds that Forklane is to keep, as shares of what a figure is compared with. */
const SMALL_TO_BETTER_MAX = 1.25;
const SMALL_TO_ENVOY_MAX = 0.5;
const HEADERS_TO_BETTER_MAX = 1.4;
const TAGGED_TO_UNTAGGED_MAX = 1.2;
const MANY_TO_ONE_SANDBOX_MAX = 1.05;
const LARGE_TO_HAPROXY_MAX = 1.3;
const ADDED_P99_TO_HAPROXY_MAX = 1.25;

/** Private dirty memory, with many sandboxes and connections, in bytes / 2^20. */
const PRIVATE_DIRTY_MB_MAX = 30;

/** What a run of `compare` found. */
export interface ComparedRows {
  readonly cpu: readonly CpuRow[];
  readonly latency: readonly LatencyRow[];
  readonly memory: readonly MemoryRow[];
}

/** Judges Forklane's rows; what was not measured has no target. */
export function compareTargets({ cpu, latency, memory }: ComparedRows): Target[] {
  return [
    ...toBetter(cpu, "untagged", SMALL_TO_BETTER_MAX),
    ...toBetter(cpu, "tagged", SMALL_TO_BETTER_MAX),
    ...toPeer(cpu, "untagged", "envoy", SMALL_TO_ENVOY_MAX),
    ...toPeer(cpu, "tagged", "envoy", SMALL_TO_ENVOY_MAX),
    // Envoy at its best: what it takes for many routes is left out.
    ...toPeer(cpu, "sandboxes-1", "envoy", SMALL_TO_ENVOY_MAX),
    ...toBetter(cpu, "headers-32", HEADERS_TO_BETTER_MAX),
    ...toCase(cpu, "tagged", "untagged", TAGGED_TO_UNTAGGED_MAX),
    ...toCase(cpu, "sandboxes-10000", "sandboxes-1", MANY_TO_ONE_SANDBOX_MAX),
    ...toCase(cpu, "all-keys", "sandboxes-1", MANY_TO_ONE_SANDBOX_MAX),
    ...toPeer(cpu, "response-1m", "haproxy", LARGE_TO_HAPROXY_MAX),
    ...toPeer(cpu, "request-1m", "haproxy", LARGE_TO_HAPROXY_MAX),
    ...addedP99(latency, "latency-untagged"),
    ...addedP99(latency, "latency-tagged"),
    ...privateDirty(memory),
  ];
}

/** The better peer is the one to which the ratio is larger. */
function toBetter(rows: readonly CpuRow[], name: string, atMost: number): Target[] {
  const { nginx, haproxy } = ownRow(rows, name)?.to ?? {};
  if (nginx === undefined || haproxy === undefined) return [];
  const ratio = Math.max(nginx.ratio, haproxy.ratio);
  return [checkTarget(`CPU, ${name}, to the better of nginx and haproxy`, ratio, atMost, "x")];
}

function toPeer(rows: readonly CpuRow[], name: string, peer: string, atMost: number): Target[] {
  const ratio = ownRow(rows, name)?.to[peer]?.ratio;
  return ratio === undefined ? [] : [checkTarget(`CPU, ${name}, to ${peer}`, ratio, atMost, "x")];
}

function toCase(rows: readonly CpuRow[], name: string, other: string, atMost: number): Target[] {
  const [row, otherRow] = [ownRow(rows, name), ownRow(rows, other)];
  if (row === undefined || otherRow === undefined) return [];
  const { ratio } = pairedRatio(row.totals, otherRow.totals);
  return [checkTarget(`CPU, ${name} to ${other}`, ratio, atMost, "x")];
}

/** In microseconds, not as a ratio: on a busy machine what HAProxy adds may come out below 0. */
function addedP99(rows: readonly LatencyRow[], name: string): Target[] {
  const [own, peer] = [ownRow(rows, name), rowOf(rows, name, "haproxy")];
  if (own === undefined || peer === undefined) return [];
  const atMost = Math.max(0, peer.addedP99) * ADDED_P99_TO_HAPROXY_MAX;
  const what = `${name}, added p99, haproxy's x ${ADDED_P99_TO_HAPROXY_MAX}`;
  return [checkTarget(what, own.addedP99, atMost, "us")];
}

function privateDirty(rows: readonly MemoryRow[]): Target[] {
  const own = rows.filter((row) => row.proxy === OURS);
  return own.map((row) => {
    const what = `${row.case}, ${row.state}, private dirty`;
    return checkTarget(what, row.privateDirtyMb, PRIVATE_DIRTY_MB_MAX, "MB");
  });
}

interface Row {
  readonly case: string;
  readonly proxy: string;
}

function ownRow<Some extends Row>(rows: readonly Some[], name: string): Some | undefined {
  return rowOf(rows, name, OURS);
}

function rowOf<Some extends Row>(
  rows: readonly Some[],
  name: string,
  proxy: string,
): Some | undefined {
  return rows.find((row) => row.case === name && row.proxy === proxy);
}
