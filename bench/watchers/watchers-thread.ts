/**
 * A thread in which several proxies watch control: the proxy's own Watch, without the traffic.
 *
 * It tells when each of them has applied each key (WatchersMessage).
 */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../core/clock.ts";
import { readProxyConfig } from "../../proxy/config.ts";
import type { RoutingTable } from "../../proxy/routing/table.ts";
import type { HopSource, ObservationSource } from "../../proxy/watch/report.ts";
import { Watch } from "../../proxy/watch/watch.ts";
import { BenchError } from "../bench-error.ts";
import type { WatchersMessage, WatchersOrder } from "./watchers-order.ts";

/** A proxy without traffic has no hop records. */
const NO_HOPS: HopSource = {
  held: 0,
  hasMore: false,
  take: () => null,
  confirm: () => {},
  giveBack: () => {},
  discard: () => {},
};
const NO_OBSERVATIONS: ObservationSource = {
  dropped: 0,
  observeFor: () => {},
  take: () => null,
  remove: () => {},
};

const order = workerData as WatchersOrder;
await Promise.all(order.workloads.map((workload, i) => startWatch(workload, i).start()));
tell({ kind: "ready" });

function startWatch(workload: string, index: number): Watch {
  const config = readProxyConfig(
    {
      listen: "127.0.0.1:1",
      upstream: "127.0.0.1:2",
      workload,
      control: order.control,
      instance: `${order.instancePrefix}-${index}`,
      "access-log": "off",
    },
    {},
  );
  if (!config.ok) throw new BenchError(config.error.message);
  let next = 0;
  const onTable = (table: RoutingTable): void => {
    const atNs = process.hrtime.bigint();
    for (let key = order.keys[next]; key !== undefined && table.known.has(key); ) {
      tell({ kind: "applied", key, workload, atNs });
      key = order.keys[++next];
    }
  };
  return new Watch({
    config: config.value,
    listen: "127.0.0.1:1",
    admin: null,
    clock: systemClock,
    hops: NO_HOPS,
    observations: NO_OBSERVATIONS,
    log: { info: () => {}, warn: () => {} },
    onTable,
    lastSeen: () => ({}),
    counters: () => ({}),
  });
}

function tell(message: WatchersMessage): void {
  parentPort?.postMessage(message);
}
