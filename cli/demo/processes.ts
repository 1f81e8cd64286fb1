import { extname, join } from "node:path";
import { type BrokenClient, callerOf, formatBreak } from "./broken-client.ts";
import type { Children } from "./children.ts";
import { untilListening, untilTablesApplied } from "./listening.ts";
import { DEMO_HOST, type DemoPorts } from "./ports.ts";
import { EDGE_WORKLOAD } from "./proof.ts";
import { BASELINE_VERSION, SHOP, SHOP_SERVICES, type ShopService, workloadOf } from "./shop.ts";

/** The change that the demo tries: one service, forked in one sandbox. */
export const DEMO_FORK = { sandbox: "jane-42", service: "pricing" } as const satisfies {
  sandbox: string;
  service: ShopService;
};

/** Services and proxies that the demo runs: the shop's, the fork's, and the edge. */
export const SERVICES_COUNT = SHOP_SERVICES.length + 1;
export const PROXIES_COUNT = SHOP_SERVICES.length + 2;

/** The command, and the shop's services, as files of the kind that we are: `.ts`, or `.js` when built. */
const KIND = extname(import.meta.filename);
export const CLI_SCRIPT = join(import.meta.dirname, `../main${KIND}`);
const SERVICE_SCRIPT = join(import.meta.dirname, `service-main${KIND}`);

/** Name of the child that has to stop last, because the proxies take leave of it. */
export const CONTROL_NAME = "control";

/** Nobody on this machine has to learn first that a proxy goes: Ctrl-C does not wait for idle callers. */
const STOP_AT_ONCE = "drainAcceptMs=1,drainMs=2000";

/** Starts control and the shop's services, and waits until all listen. */
export async function startControlAndServices(
  children: Children,
  ports: DemoPorts,
  dataFile: string,
  signal: AbortSignal,
): Promise<void> {
  children.start(CONTROL_NAME, CLI_SCRIPT, [
    "control",
    ...["--listen", address(ports.control)],
    ...["--data", dataFile],
  ]);
  for (const service of SHOP_SERVICES) {
    startService(children, ports, service, ports.services[service], BASELINE_VERSION);
  }
  startService(children, ports, DEMO_FORK.service, ports.fork, DEMO_FORK.sandbox);
  await Promise.all([
    untilListening(CONTROL_NAME, ports.control, signal),
    ...SHOP_SERVICES.map((service) => untilListening(service, ports.services[service], signal)),
    untilListening("the fork", ports.fork, signal),
  ]);
}

/** Starts a proxy next to each service and next to the fork, and the edge, and waits until each has its table. */
export async function startProxies(
  children: Children,
  ports: DemoPorts,
  signal: AbortSignal,
): Promise<void> {
  for (const service of SHOP_SERVICES) {
    startProxy(children, ports, `proxy of ${service}`, {
      listen: ports.proxies[service],
      upstream: ports.services[service],
      workload: workloadOf(service),
    });
  }
  startProxy(children, ports, "proxy of the fork", {
    listen: ports.forkProxy,
    upstream: ports.fork,
    workload: workloadOf(DEMO_FORK.service),
    further: ["--sandbox", DEMO_FORK.sandbox],
  });
  startProxy(children, ports, "edge", {
    listen: ports.edge,
    upstream: ports.proxies.frontend,
    workload: EDGE_WORKLOAD,
    further: ["--mode", "edge"],
  });
  const listening = [...Object.values(ports.proxies), ports.forkProxy, ports.edge];
  await Promise.all(listening.map((port) => untilListening("a proxy", port, signal)));
  await untilTablesApplied(controlUrl(ports), listening.map(address), signal);
}

/** Replaces the service that calls `broken.callee` by one whose client for it loses the tag. */
export function breakClient(
  children: Children,
  ports: DemoPorts,
  broken: BrokenClient,
  signal: AbortSignal,
): Promise<void> {
  const further = ["--break", formatBreak(broken)];
  return replaceService(children, ports, callerOf(broken.callee), further, signal);
}

/** Replaces a service of the shop by a whole one. */
export function mendService(
  children: Children,
  ports: DemoPorts,
  service: ShopService,
  signal: AbortSignal,
): Promise<void> {
  return replaceService(children, ports, service, [], signal);
}

async function replaceService(
  children: Children,
  ports: DemoPorts,
  service: ShopService,
  further: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const args = serviceArgs(ports, service, ports.services[service], BASELINE_VERSION);
  const name = nameOf(service, BASELINE_VERSION);
  await children.replace(name, SERVICE_SCRIPT, [...args, ...further]);
  await untilListening(service, ports.services[service], signal);
}

/** Writes a port of the demo as `host:port`. */
export function address(port: number): string {
  return `${DEMO_HOST}:${port}`;
}

/** Base URL of the demo's control. */
export function controlUrl(ports: DemoPorts): string {
  return `http://${address(ports.control)}`;
}

function startService(
  children: Children,
  ports: DemoPorts,
  service: ShopService,
  port: number,
  version: string,
): void {
  const args = serviceArgs(ports, service, port, version);
  children.start(nameOf(service, version), SERVICE_SCRIPT, args);
}

function nameOf(service: ShopService, version: string): string {
  return `${service} (${version})`;
}

function serviceArgs(
  ports: DemoPorts,
  service: ShopService,
  port: number,
  version: string,
): string[] {
  const callees = SHOP[service].callees.flatMap((callee) => [
    "--callee",
    `${callee}=${address(ports.proxies[callee])}`,
  ]);
  return [service, "--listen", address(port), "--version", version, ...callees];
}

interface DemoProxy {
  readonly listen: number;
  readonly upstream: number;
  readonly workload: string;
  readonly further?: readonly string[];
}

function startProxy(children: Children, ports: DemoPorts, name: string, proxy: DemoProxy): void {
  children.start(name, CLI_SCRIPT, [
    "proxy",
    ...["--listen", address(proxy.listen)],
    ...["--upstream", address(proxy.upstream)],
    ...["--workload", proxy.workload],
    ...["--control", controlUrl(ports)],
    ...["--access-log", "off"],
    ...["--limit", STOP_AT_ONCE],
    ...(proxy.further ?? []),
  ]);
}
