import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BenchError } from "../bench-error.ts";
import type { Child } from "../host/child.ts";
import { LOAD_CPU, MEASURED_CPU } from "../host/machine.ts";
import { findProgram } from "../host/program.ts";
import { forklaneCommand } from "../peers/forklane/build.ts";
import { knownTable } from "../peers/forklane/table.ts";
import { nginxBackendConfig } from "../peers/nginx/config.ts";
import { benchKeys, START_DEADLINE_MS } from "../peers/peer.ts";
import type { Bench } from "../scenario.ts";
import { capture, createHosts, createPair, INSIDE_LOAD, run, type ServiceHost } from "./hosts.ts";

/** One way from the load to a service. */
export interface Way {
  readonly name: WayName;
  readonly host: string;
  readonly port: number;
  /** What stands before a command that shall run where the load is. */
  readonly inside: readonly string[];
  /** What stands in the way. */
  readonly proxies: readonly Child[];
  readonly service: Child;
  /** Workload of the proxy that a request meets first; null: none of ours. */
  readonly first: string | null;
}

/**
 * THE WAYS, the cheapest first. `tracked` is a proxy that is dialled, on a host whose kernel tracks
 * connections because there are rules: what lies between it and `intercepted` is the redirect.
 * `both` has a proxy at the caller as well, to which rules redirect its calls.
 */
export const WAYS = ["direct", "pass-through", "proxy", "tracked", "intercepted", "both"] as const;

/** One of WAYS. */
export type WayName = (typeof WAYS)[number];

/** The service's port, that of a proxy which is dialled, and that to which rules redirect. */
export const SERVICE_PORT = 8080;
const PROXY_PORT = 8090;
const PASS_PORT = 8091;
export const INTERCEPTED_PORT = 19_471;
const CALLS_PORT = 19_472;
const WORKLOAD = "bench/service";
const CALLER = "bench/caller";

/** The proxy's user, whose only right is to read a checkout wherever it lies. */
export const AS_PROXY = [
  ...["setpriv", "--reuid=7470", "--regid=7470", "--clear-groups"],
  ...["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"],
];

const PASS_THROUGH = fileURLToPath(new URL("./pass-through-main.ts", import.meta.url));
const POLL_MS = 50;

/** Starts everything; each way is open when it is answered. */
export async function startWays(bench: Bench): Promise<readonly Way[]> {
  const hosts = createHosts(["plain", "taken"]);
  const plain = hosts.get("plain");
  const taken = hosts.get("taken");
  if (plain === undefined || taken === undefined) throw new BenchError("a host is missing");
  const command = await forklaneCommand(null);
  const table = join(bench.folder, "table.json");
  await writeFile(table, JSON.stringify(knownTable(benchKeys(bench.options.sandboxes))));
  const stage = { bench, command, table };
  const dialled = (host: ServiceHost) =>
    startProxy(stage, host, [
      ...["--workload", WORKLOAD, "--listen", `0.0.0.0:${PROXY_PORT}`],
      ...["--upstream", serviceOf(host)],
    ]);
  const onPlain = { host: plain.address, inside: INSIDE_LOAD, first: WORKLOAD };
  const onTaken = { ...onPlain, host: taken.address };
  const plainService = { ...onPlain, service: await startService(bench, plain) };
  const takenService = { ...onTaken, service: await startService(bench, taken) };
  const pass = [process.execPath, PASS_THROUGH, String(PASS_PORT), serviceOf(plain)];
  const ways: readonly Way[] = [
    { name: "direct", ...plainService, port: SERVICE_PORT, proxies: [], first: null },
    {
      ...{ name: "pass-through", ...plainService, port: PASS_PORT, first: null },
      proxies: [startIn(bench, plain, "pass-through", pass)],
    },
    { name: "proxy", ...plainService, port: PROXY_PORT, proxies: [dialled(plain)] },
    { name: "tracked", ...takenService, port: PROXY_PORT, proxies: [dialled(taken)] },
    {
      ...{ name: "intercepted", ...takenService, port: SERVICE_PORT },
      proxies: [interceptInbound(stage, taken)],
    },
    await startBoth(stage),
  ];
  for (const way of ways) await untilOpen(way);
  return ways;
}

/** What proxies are started with. */
interface Stage {
  readonly bench: Bench;
  /** Script of the command `forklane`. */
  readonly command: string;
  /** File with the routing table of the service. */
  readonly table: string;
}

/** Rules for what arrives at a host, and the proxy to which they redirect. */
function interceptInbound(stage: Stage, host: ServiceHost): Child {
  const rules = ["intercept", "--inbound-ports", String(SERVICE_PORT)];
  run([...host.inside, process.execPath, stage.command, ...rules]);
  const listen = ["--intercept", "--listen", `[::]:${INTERCEPTED_PORT}`];
  return startProxy(stage, host, ["--workload", WORKLOAD, ...listen]);
}

/** A caller whose calls are taken, and a service that is intercepted. */
async function startBoth(stage: Stage): Promise<Way> {
  const { inside, service: host } = createPair();
  const service = await startService(stage.bench, host);
  const inbound = interceptInbound(stage, host);
  run([...inside, process.execPath, stage.command, "intercept", "--outbound"]);
  const workloads = {
    [CALLER]: { routes: {} },
    [WORKLOAD]: { addresses: [host.address], routes: {} },
  };
  const table = join(stage.bench.folder, "calls.json");
  await writeFile(table, JSON.stringify({ revision: 1, workloads, known: [] }));
  const listen = ["--mode", "outbound", "--intercept", "--listen", `[::]:${CALLS_PORT}`];
  const caller = { ...host, inside, namespace: "caller" };
  const outbound = startProxy({ ...stage, table }, caller, ["--workload", CALLER, ...listen]);
  const proxies = [outbound, inbound];
  return {
    name: "both",
    host: host.address,
    port: SERVICE_PORT,
    inside,
    proxies,
    service,
    first: CALLER,
  };
}

function startProxy(
  { bench, command, table }: Stage,
  host: ServiceHost,
  flags: readonly string[],
): Child {
  const quiet = bench.options.accessLog ? [] : ["--access-log", "off"];
  const words = [process.execPath, command, "proxy", "--table", table, ...quiet, ...flags];
  return startIn(bench, host, `proxy at ${host.namespace}`, [...AS_PROXY, ...words]);
}

function serviceOf(host: ServiceHost): string {
  return `${host.address}:${SERVICE_PORT}`;
}

/** Starts a process on a host. */
export function startIn(
  bench: Bench,
  host: ServiceHost,
  name: string,
  command: readonly string[],
  cpu = MEASURED_CPU,
): Child {
  // Each of these replaces itself by what it starts, so that the process id stays.
  const [program = "", ...args] = [...host.inside, ...command];
  return bench.children.start({ name, program, args, cpu });
}

/** Starts the service of a host. */
export async function startService(bench: Bench, host: ServiceHost): Promise<Child> {
  const folder = join(bench.folder, host.namespace);
  await mkdir(folder, { recursive: true });
  const config = join(folder, "nginx.conf");
  const text = nginxBackendConfig(folder, SERVICE_PORT, SERVICE_PORT + 1, "0.0.0.0");
  await writeFile(config, text);
  const files = ["-p", folder, "-c", config, "-e", join(folder, "error.log")];
  const command = [await findProgram("nginx"), ...files];
  return startIn(bench, host, `service-${host.namespace}`, command, LOAD_CPU);
}

/** Waits until requests of this way are answered by whoever has to meet them first. */
async function untilOpen(way: Way): Promise<void> {
  const url = `http://${way.host}:${way.port}/`;
  const end = performance.now() + START_DEADLINE_MS;
  // Only a proxy of ours knows it, refuses it, and says whose it is.
  const tag = ["-H", "baggage: sandbox=nobodys!"];
  const format = ["-o", "/dev/null", "-w", "%{http_code} %header{forklane-fault}"];
  const wanted = way.first === null ? "200 " : `424 unknown-key; by=${way.first}`;
  for (;;) {
    const seen = capture([...way.inside, "curl", "-sS", "-m", "5", ...tag, ...format, url]);
    if (seen === wanted) return;
    for (const child of [...way.proxies, way.service]) {
      const reason = child.endReason();
      if (reason !== null) throw new BenchError(reason);
    }
    if (performance.now() > end) throw new BenchError(`${way.name} answers "${seen}" at ${url}`);
    await sleep(POLL_MS);
  }
}
