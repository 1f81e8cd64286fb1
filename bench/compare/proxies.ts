import { join } from "node:path";
import { BenchError } from "../bench-error.ts";
import { LOAD_CPU, MEASURED_CPU } from "../host/machine.ts";
import { freePort } from "../host/port.ts";
import { checkBodies, checkComposed, checkJob, untilJobIsDone } from "../peers/check-job.ts";
import { startEnvoy } from "../peers/envoy/start-envoy.ts";
import { putSandbox, startControl } from "../peers/forklane/start-control.ts";
import { startForklane } from "../peers/forklane/start-forklane.ts";
import { forkTable } from "../peers/forklane/table.ts";
import { startHaproxy } from "../peers/haproxy/start-haproxy.ts";
import { startBackend, startNginx } from "../peers/nginx/start-nginx.ts";
import { benchKeys, type Job, type Peer } from "../peers/peer.ts";
import type { Bench } from "../scenario.ts";
import { type Case, type Setup, setupName } from "./case.ts";
import type { Contender } from "./contender.ts";

const WORKLOAD = "bench/compare";

/** Every proxy of a run: one process for each contender and each setup that a case needs. */
export interface Proxies {
  /** Port of the service, for the way without a proxy. */
  readonly directPort: number;
  of(contender: Contender, setup: Setup): Peer;
}

/** Starts the service and all proxies, and fails unless each does the job. */
export async function startProxies(
  bench: Bench,
  contenders: readonly Contender[],
  cases: readonly Case[],
): Promise<Proxies> {
  const ports = { baseline: await freePort(), fork: await freePort() };
  await startBackend(bench.children, join(bench.folder, "backend"), ports, LOAD_CPU);
  const running = new Map<string, Peer>();
  const nameOf = (contender: Contender, setup: Setup): string =>
    `${contender.name}-${setupName(setup)}`;
  for (const each of cases) {
    for (const contender of contenders.filter((one) => takesPart(one, each))) {
      const name = nameOf(contender, each.setup);
      if (running.has(name)) continue;
      const job = await jobOf(join(bench.folder, name), each.setup, ports);
      running.set(name, await startOne(bench, contender, each.setup, job, name));
    }
  }
  return {
    directPort: ports.baseline,
    of(contender, setup) {
      const peer = running.get(nameOf(contender, setup));
      if (peer === undefined) throw new BenchError(`no ${nameOf(contender, setup)} was started`);
      return peer;
    },
  };
}

/** Whether the contender is measured in the case. */
export function takesPart(contender: Contender, each: Case): boolean {
  return contender.program === "forklane" || !each.isOursOnly;
}

async function jobOf(
  folder: string,
  setup: Setup,
  ports: { readonly baseline: number; readonly fork: number },
): Promise<Job> {
  return {
    listenPort: await freePort(),
    baselinePort: ports.baseline,
    forkPort: ports.fork,
    keys: benchKeys(setup.sandboxes),
    composed: setup.composed,
    folder,
    cpu: MEASURED_CPU,
  };
}

async function startOne(
  bench: Bench,
  contender: Contender,
  setup: Setup,
  job: Job,
  name: string,
): Promise<Peer> {
  bench.say(`starting ${name}`);
  const peer = await startProgram(bench, contender, setup, job, name);
  const key = job.keys[Math.floor(job.keys.length / 2)] ?? "";
  // A table from control comes some moments after the start.
  if (setup.telemetry === "records") await untilJobIsDone(peer, key);
  await checkJob(peer, key);
  await checkBodies(peer);
  if (setup.composed) await checkComposed(peer, key);
  return peer;
}

async function startProgram(
  bench: Bench,
  contender: Contender,
  setup: Setup,
  job: Job,
  name: string,
): Promise<Peer> {
  if (contender.program === "nginx") return startNginx(bench.children, job);
  if (contender.program === "haproxy") return startHaproxy(bench.children, job);
  if (contender.program === "envoy") return startEnvoy(bench.children, job);
  return startOurs(bench, contender, setup, job, name);
}

/** With admin, and metrics asked for once, as a Prometheus would: their text costs memory. */
async function startOurs(
  bench: Bench,
  contender: Contender,
  setup: Setup,
  job: Job,
  name: string,
): Promise<Peer> {
  const adminPort = await freePort();
  const { telemetry } = setup;
  const peer = await startForklane(bench.children, {
    command: contender.command,
    name,
    workload: WORKLOAD,
    listenPort: job.listenPort,
    upstreamPort: job.baselinePort,
    table:
      telemetry === "records"
        ? await controlWith(bench, contender, job)
        : forkTable(job.keys, job.forkPort),
    folder: job.folder,
    cpu: job.cpu,
    accessLog: telemetry !== "off",
    adminPort,
    // The service answers whatever it is sent with 200, which is all that an exporter wants.
    otlpEndpoint: telemetry === "otlp" ? `http://127.0.0.1:${job.baselinePort}` : null,
    profileFolder: bench.options.profileFolder,
  });
  const metrics = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  if (!(await metrics.text()).includes("forklane_exchanges_total")) {
    throw new BenchError(`${name} answered ${metrics.status} without metrics`);
  }
  return peer;
}

async function controlWith(bench: Bench, contender: Contender, job: Job): Promise<string> {
  const control = await startControl(bench.children, {
    command: contender.command,
    folder: job.folder,
    cpu: LOAD_CPU,
    profileFolder: bench.options.profileFolder,
  });
  for (const key of job.keys) await putSandbox(control, key, WORKLOAD, job.forkPort);
  return control;
}
