import type { RequestHead } from "../message/head.ts";
import type { HeadEdit } from "../message/head-edit.ts";
import type { DownstreamStream } from "../message/stream.ts";
import type { BaggageLine } from "../routing/baggage-line.ts";
import { type HopMark, readHopMark } from "../routing/hop-mark.ts";
import { emptyWorkload, unknownTable, type WorkloadTable } from "../routing/table.ts";
import { NO_TAG, type Tag } from "../routing/tag.ts";
import type { ExchangeContext, Outbound } from "./context.ts";
import { carryTag, identify, removeEveryTrace } from "./identify.ts";

/**
 * Finds out whom a call of the service is for, and on whose behalf.
 *
 * Before: exchange/exchange.ts. After: routing/callees.ts, routing/decide.ts.
 * Invariants: where a call was dialled to decides, as far as the table knows the address; Host only
 * names a workload, never an address; a tag is put on calls to workloads of the table only.
 * Once per call of a proxy that takes calls; inbound exchanges do not come here.
 */

/** Where a call goes unless a fork has it. */
export interface Callee {
  /** The workload's part of the table; NO_CALLEE where the call is for none of it. */
  readonly table: WorkloadTable;
  /** `host:port`: as dialled, or as the table says; null where neither is known. */
  readonly baseline: string | null;
  /** Dialled to an address that is neither in the table nor in the cluster's networks. */
  readonly isOutside: boolean;
}

/** Stands for a workload that the table does not know: its calls are passed on as they are. */
export const NO_CALLEE: WorkloadTable = emptyWorkload(unknownTable([]), "");

/**
 * Whom a call is for. An address of the table wins over Host; an address outside the cluster is
 * nobody's, whatever Host says; of the others Host may name a workload.
 */
export function calleeOf(outbound: Outbound, downstream: DownstreamStream): Callee {
  const { intendedAddress, head } = downstream;
  if (intendedAddress === null) {
    const table = outbound.calls.callees.byHost(head.authority) ?? NO_CALLEE;
    return { table, baseline: table.baseline, isOutside: false };
  }
  const { address } = intendedAddress;
  const { baseline } = downstream;
  const known = outbound.calls.callees.byAddress(address, baseline);
  if (known !== null) return { table: known, baseline, isOutside: false };
  if (isOutsideCall(outbound, address, baseline)) {
    return { table: NO_CALLEE, baseline, isOutside: true };
  }
  const named = outbound.calls.callees.byHost(head.authority, intendedAddress.port);
  return { table: named ?? NO_CALLEE, baseline, isOutside: false };
}

/**
 * Whether a redirected call leaves the cluster: its address is neither in the table nor in the networks.
 * `endpoint` is the address with the port.
 */
export function isOutsideCall(outbound: Outbound, address: string, endpoint: string): boolean {
  if (outbound.clusterNetworks.includes(address)) return false;
  return outbound.calls.callees.byAddress(address, endpoint) === null;
}

/** Whose call it is. */
export interface IdentifiedCall {
  readonly tag: Tag;
  readonly healed: "sandbox" | "affinity" | null;
  /** The hop that caused a call that was healed; null: the head says, or nobody knows. */
  readonly mark: HopMark | null;
}

const UNTAGGED: IdentifiedCall = { tag: NO_TAG, healed: null, mark: null };

/** Reads the tag of a call, or gives one back that it should have; its changes go into `edit`. */
export function identifyCall(
  context: ExchangeContext,
  outbound: Outbound,
  callee: Callee,
  downstream: DownstreamStream,
  edit: HeadEdit,
  baggage: BaggageLine | null,
): IdentifiedCall {
  if (callee.table === NO_CALLEE) {
    if (callee.isOutside && outbound.stripsOutside) {
      removeEveryTrace(context, downstream.head.fields, edit);
    }
    return UNTAGGED;
  }
  const tag = identify(context, downstream, edit, baggage);
  if (tag.kind !== "none") return { tag, healed: null, mark: null };
  if (!context.trustTagsFrom.includes(downstream.address)) return UNTAGGED;
  return heal(context, outbound, downstream.head, edit) ?? UNTAGGED;
}

/** The trace knows best; next to a fork whatever is left is its sandbox's. */
function heal(
  context: ExchangeContext,
  outbound: Outbound,
  head: RequestHead,
  edit: HeadEdit,
): IdentifiedCall | null {
  const recalled = context.affinity?.recall(head.fields) ?? null;
  const tag = recalled?.tag ?? outbound.calls.sandboxTag;
  if (tag === null) return null;
  const mark = readHopMark(head.fields) ?? recalled?.mark ?? null;
  carryTag(context, head.fields, edit, tag);
  return { tag, healed: recalled === null ? "sandbox" : "affinity", mark };
}
