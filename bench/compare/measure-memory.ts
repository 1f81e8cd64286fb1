import { type Memory, readMemory } from "../host/proc-memory.ts";
import { OpenConnections } from "../load/open-connections.ts";
import { columnsOf, formatFigure, renderTable } from "../measure/text-table.ts";
import type { Peer } from "../peers/peer.ts";
import { type Case, fieldsOf } from "./case.ts";
import { type LoadSettings, saturate } from "./measure-cpu.ts";

/** When memory was read: after one request on each connection, or after a load that saturates. */
export type MemoryState = "fresh" | "after load";

/** Memory of one proxy with connections open, in bytes / 2^20. */
export interface MemoryRow {
  readonly case: string;
  readonly proxy: string;
  readonly state: MemoryState;
  readonly sandboxes: number;
  readonly connections: number;
  readonly pssMb: number;
  readonly privateDirtyMb: number;
}

/** Reads the memory of a proxy that has just started. */
export async function measureFresh(peer: Peer, each: Case, proxy: string): Promise<MemoryRow> {
  return toRow(each, proxy, "fresh", await readWithConnections(peer, each));
}

/** Reads it after a load; the connections of the load are closed again. */
export async function measureAfterLoad(
  settings: LoadSettings,
  peer: Peer,
  each: Case,
  proxy: string,
): Promise<MemoryRow> {
  await saturate(settings, peer.port, each);
  return toRow(each, proxy, "after load", await readWithConnections(peer, each));
}

async function readWithConnections(peer: Peer, each: Case): Promise<Memory> {
  const { openConnections, request } = each;
  const open = await OpenConnections.open(peer.port, openConnections, (connection) =>
    fieldsOf(request, connection),
  );
  const memory = await readMemory(peer.child.pid);
  open.close();
  return memory;
}

function toRow(each: Case, proxy: string, state: MemoryState, memory: Memory): MemoryRow {
  return {
    case: each.name,
    proxy,
    state,
    sandboxes: each.setup.sandboxes,
    connections: each.openConnections,
    pssMb: memory.pssBytes / 2 ** 20,
    privateDirtyMb: memory.privateDirtyBytes / 2 ** 20,
  };
}

/** The table for people. */
export function renderMemoryRows(rows: readonly MemoryRow[]): string {
  if (rows.length === 0) return "";
  const columns = columnsOf(
    ["case", "state", "proxy"],
    ["sandboxes", "connections", "PSS MB", "dirty MB"],
  );
  const cells = rows.map((row) => [
    ...[row.case, row.state, row.proxy],
    ...[String(row.sandboxes), String(row.connections)],
    ...[row.pssMb, row.privateDirtyMb].map(formatFigure),
  ]);
  return renderTable(columns, cells);
}
