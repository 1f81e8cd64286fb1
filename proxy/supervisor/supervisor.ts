import { type Address, formatAddress } from "../../core/address.ts";
import { systemClock } from "../../core/clock.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { Admin } from "../admin/admin.ts";
import { ConfigError, collectProxySettings, type ProxyConfig, readProxyConfig } from "../config.ts";
import { type Calls, callsOf } from "../routing/callees.ts";
import { type RoutingTable, unknownTable, workloadTable } from "../routing/table.ts";
import { LineFile } from "../telemetry/line-file.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { type Exposition, expositionOf, type MetricSample } from "../telemetry/samples.ts";
import type { TableChange } from "../watch/apply.ts";
import { startTableSource, type TableSource } from "../watch/table-source.ts";
import type { WatchLog } from "../watch/watch.ts";
import { type Inheritance, readInheritance } from "./config.ts";
import { EvidenceRelay } from "./evidence-relay.ts";
import { WorkerFigures } from "./figures.ts";
import { ListeningSocket } from "./listening-socket.ts";
import type { FromWorker, Settings } from "./messages.ts";
import { Successor, tellPredecessor } from "./successor.ts";
import { TableRelay } from "./table-relay.ts";
import { copyLines } from "./worker-output.ts";
import type { WorkerFault, WorkerProcess } from "./worker-process.ts";
import { Workers } from "./workers.ts";

/** Settings that the supervisor lives by: a restart of the workers cannot change them. */
const OWN_SETTINGS = [
  "listen",
  "admin",
  "workers",
  "workload",
  "mode",
  "sandbox",
  "control",
  "table",
  "token-file",
  "state-dir",
  "instance",
] as const;

/** Lines of access logs that may wait for standard output, in bytes. */
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const OUTPUT_END_MS = 1_000;

/** How to stop: as Listener.drain, in whose room this one does not look. */
export interface DrainOptions {
  readonly accepts?: boolean;
  readonly withinMs?: number;
}

/** What a supervisor is started with. */
export interface SupervisorOptions {
  readonly flags: Readonly<Record<string, string | undefined>>;
  /** What these flags, the environment and the file come to. */
  readonly config: ProxyConfig;
  /** Path of the module that is a worker. */
  readonly workerEntry: string;
  readonly log: WatchLog;
  /** Resolves when it is to stop: a start does not wait for anything any more. */
  readonly stop: Promise<void>;
}

/**
 * Starts a proxy of several processes; resolves once all workers take connections, or with why one
 * cannot. Rejects as createProxy does: a ConfigError, or the system's error of a bind.
 */
export async function startSupervisor(
  options: SupervisorOptions,
): Promise<Result<Supervisor, WorkerFault>> {
  const settings = collectProxySettings(options.flags);
  if (!settings.ok) throw settings.error;
  const inheritance = readInheritance();
  const listen = await listenSocket(options.config, inheritance);
  const supervisor = new Supervisor(options, settings.value, listen, inheritance);
  try {
    const fault = await supervisor.start();
    if (fault === null) return ok(supervisor);
    await supervisor.drain({ accepts: false });
    return err(fault);
  } catch (error) {
    await supervisor.drain({ accepts: false });
    throw error;
  }
}

async function listenSocket(
  { listen }: ProxyConfig,
  inheritance: Inheritance | null,
): Promise<ListeningSocket> {
  if (inheritance === null) return await ListeningSocket.bind(listen);
  const { configured, bound, fd } = inheritance.listen;
  refuseChange("--listen", configured, listen);
  return ListeningSocket.inherited(configured, bound, fd);
}

function calleeNames({ outbound }: ProxyConfig): string {
  return [...(outbound?.callees.keys() ?? [])].toSorted().join();
}

function refuseChange(setting: string, before: Address | undefined, now: Address | null): void {
  const is = (address: Address | null | undefined) => (address ? formatAddress(address) : "none");
  if (is(before) === is(now)) return;
  throw new ConfigError(
    setting,
    `is ${is(now)}, and the process that hands over has ${is(before)}: stop it and start anew`,
  );
}

/**
 * Owns what outlives a worker: the listening socket, the watch, admin, and what is said to control.
 *
 * Before: proxy/main.ts. After: workers.ts; worker-source.ts in the workers.
 * Invariants: it takes no connection itself; to control and to Prometheus it and its workers are one
 * proxy; a table counts as applied when every worker has it that takes or finishes requests.
 */
export class Supervisor {
  /** Resolves when the next generation has taken over, with how long this one may drain, in milliseconds. */
  readonly succeeded: Promise<number>;
  readonly #options: SupervisorOptions;
  readonly #settings: Settings;
  readonly #listen: ListeningSocket;
  readonly #inheritance: Inheritance | null;
  readonly #tables = new TableRelay();
  readonly #evidence = new EvidenceRelay(systemClock.nowMs);
  readonly #figures = new WorkerFigures();
  readonly #workers: Workers;
  readonly #source: TableSource;
  readonly #ownMetrics: Metrics;
  readonly #succeed: (retireMs: number) => void;
  readonly #onHangup = () => void this.#restart();
  readonly #onUser2 = () => void this.#handOver();
  #admin: Admin | null = null;
  #adminSocket: ListeningSocket | null = null;
  /** As the workers have it. */
  #config: ProxyConfig;
  #table: RoutingTable;
  #output: LineFile | null = null;
  #successor: Successor | null = null;
  #isStarted = false;
  #isDraining = false;
  /** A restart runs, or the next generation starts. */
  #isBusy = false;
  #isRestartWanted = false;
  #isSucceeded = false;
  #drained: Promise<void> | null = null;
  readonly #restarts = { done: 0, refused: 0 };

  constructor(
    options: SupervisorOptions,
    settings: Settings,
    listen: ListeningSocket,
    inheritance: Inheritance | null,
  ) {
    const { config, log, workerEntry: entry } = options;
    this.#options = options;
    this.#settings = settings;
    this.#listen = listen;
    this.#inheritance = inheritance;
    this.#config = { ...config, instance: instanceOf(settings, config, inheritance) };
    this.#table = unknownTable([config.workload]);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.succeeded = promise;
    this.#succeed = resolve;
    this.#source = this.#newSource();
    this.#ownMetrics = new Metrics({
      workload: config.workload,
      readings: () => ({
        ...this.#source.readings(),
        hopRecordsDropped: this.#evidence.hops.droppedTotal,
        accessLogLinesDropped: this.#output?.droppedLines ?? 0,
      }),
    });
    this.#workers = new Workers({
      count: config.workers,
      settings: this.#workerSettings(settings),
      log,
      retireMs: () => this.#config.limits.retireMs,
      worker: {
        entry,
        listenFd: listen.fd,
        onMessage: (worker, message) => this.#take(worker, message),
        onOutput: (stdout) => {
          this.#output ??= new LineFile(process.stdout.fd, OUTPUT_BYTES_MAX);
          copyLines(stdout, this.#output);
        },
      },
      onStarted: (worker) => this.#onStarted(worker),
      onEnded: (worker, wasOrderly) => this.#onEnded(worker, wasOrderly),
    });
  }

  /** Where the workers take traffic. */
  get listen(): Address {
    return this.#listen.bound;
  }

  get admin(): Address | null {
    return this.#adminSocket?.bound ?? null;
  }

  /** Resolves with null once all workers take connections, or it is to stop; else with why one does not. */
  async start(): Promise<WorkerFault | null> {
    process.on("SIGHUP", this.#onHangup);
    process.on("SIGUSR2", this.#onUser2);
    await this.#startAdmin();
    const started = this.#workers.start();
    const stop = this.#options.stop.then(() => null);
    // Without a table no worker takes connections.
    if ((await Promise.race([this.#source.start(), stop])) === null) return null;
    if (!this.#tables.hasTable) this.#onTable(this.#table, null);
    const fault = await Promise.race([started, stop]);
    if (fault !== null) return fault;
    this.#isStarted = true;
    return null;
  }

  /** Tells the generation before, if there is one: it begins to stop then. */
  takeOver(): void {
    if (this.#inheritance !== null) tellPredecessor();
  }

  /**
   * Has all workers finish what is in progress; tells control, and closes everything. By default new
   * connections are let in for a while; not where another process takes them from the same socket.
   * Asked again it may bring the deadline forward, and resolves with the first.
   */
  async drain({ accepts = true, withinMs }: DrainOptions = {}): Promise<void> {
    const drained = this.#workers.drain(accepts, withinMs ?? this.#config.limits.drainMs);
    this.#drained ??= this.#drain(drained);
    await this.#drained;
  }

  async #drain(drained: Promise<void>): Promise<void> {
    this.#isDraining = true;
    process.off("SIGHUP", this.#onHangup);
    process.off("SIGUSR2", this.#onUser2);
    this.#successor?.kill();
    // The workers have it, too: with the last of them new connections are refused.
    this.#listen.close();
    await drained;
    await this.#source.stop();
    await this.#output?.end(OUTPUT_END_MS);
    await this.#admin?.stop();
  }

  /** Ends the workers without a word. */
  kill(): void {
    this.#successor?.kill();
    this.#workers.kill();
  }

  #newSource(): TableSource {
    const admin = this.#config.admin;
    const { log } = this.#options;
    return startTableSource(this.#config, {
      listen: formatAddress(this.#listen.bound),
      admin: admin === null ? null : formatAddress(admin),
      clock: systemClock,
      log,
      hops: this.#evidence.hops,
      observations: this.#evidence.observations,
      lastSeen: () => this.#figures.lastSeen(),
      counters: () => this.#figures.counters(),
      onTable: (table, change) => this.#onTable(table, change),
      workers: {
        applied: () => this.#tables.revisions,
        flush: (id) => this.#evidence.flush(id),
      },
    });
  }

  /** Settings for workers: this address, this name, and no admin, which is the supervisor's. */
  #workerSettings({ admin: _, ...settings }: Settings): Settings {
    const listen = formatAddress(this.#listen.bound);
    return { ...settings, listen, instance: this.#config.instance };
  }

  async #startAdmin(): Promise<void> {
    const { admin: listen } = this.#config;
    const inherited = this.#inheritance?.admin ?? null;
    if (this.#inheritance !== null) refuseChange("--admin", inherited?.configured, listen);
    if (listen === null) return;
    const socket =
      inherited === null
        ? await ListeningSocket.bind(listen)
        : ListeningSocket.inherited(inherited.configured, inherited.bound, inherited.fd);
    const config = () => this.#config;
    const admin = new Admin({
      get config() {
        return config();
      },
      listen,
      socket: socket.target,
      table: () => workloadTable(this.#table, this.#config.workload),
      calls: () => this.#calls(),
      notReady: () => this.#notReady(),
      metrics: () => this.#exposition(),
      facts: () => ({
        ...this.#source.facts(),
        supervisor: process.pid,
        generation: this.#inheritance?.generation ?? 1,
        processes: this.#workerFacts(),
      }),
    });
    await admin.start();
    this.#admin = admin;
    this.#adminSocket = socket;
  }

  #calls(): Calls | null {
    const { outbound, sandbox } = this.#config;
    return outbound === null ? null : callsOf(this.#table, outbound.callees, sandbox);
  }

  #onTable(table: RoutingTable, change: TableChange | "state" | null): void {
    this.#table = table;
    this.#tables.take(table, change);
  }

  #onStarted(worker: WorkerProcess): void {
    this.#evidence.add(worker);
    this.#figures.add(worker);
    this.#tables.add(worker);
  }

  #onEnded(worker: WorkerProcess, wasOrderly: boolean): void {
    this.#tables.remove(worker);
    this.#evidence.remove(worker, wasOrderly || !worker.hasServed);
    this.#figures.remove(worker);
    if (!this.#isDraining) this.#tellIfApplied();
  }

  #take(worker: WorkerProcess, message: FromWorker): void {
    switch (message.kind) {
      case "applied":
        this.#tables.applied(worker, message.number, message.revision);
        this.#tellIfApplied();
        return;
      case "unfit":
        this.#tables.unfit(worker, message.number);
        return;
      case "hops":
        this.#evidence.hops.hand(worker, message);
        if (this.#evidence.isFlushing || worker.isDraining) this.#source.hurry?.();
        return;
      case "observations":
        this.#evidence.observations.hand(worker, message.lines, message.dropped);
        return;
      case "flushed":
        this.#evidence.flushed(worker, message.id);
        return;
      case "figures":
        this.#figures.take(worker, message, message.number);
        return;
      default:
        return;
    }
  }

  /** Control hears of it at once when the last worker has applied a table. */
  #tellIfApplied(): void {
    if (this.#tables.isApplied) this.#source.workersApplied?.();
  }

  #notReady(): string | null {
    if (this.#isDraining) return "draining";
    const why = this.#source.notReady();
    if (why !== null) return why;
    const { acceptingCount } = this.#workers;
    const { workers } = this.#config;
    if (!this.#isStarted) return `${acceptingCount} of ${workers} workers take connections`;
    return acceptingCount > 0 ? null : "no worker takes connections";
  }

  #workerFacts(): readonly Readonly<Record<string, unknown>>[] {
    return this.#workers.alive.map((worker) => ({
      worker: worker.index,
      process: worker.pid,
      state: worker.state,
      revision: this.#tables.revisionOf(worker),
    }));
  }

  async #exposition(): Promise<Exposition> {
    const own = [...this.#ownMetrics.samples(), ...this.#workerSamples()];
    return await expositionOf(await this.#figures.metrics(own));
  }

  #workerSamples(): MetricSample[] {
    const single = (value: number) => [{ value, labels: {} }];
    return [
      {
        name: "forklane_workers",
        help: "Workers that take new connections.",
        type: "gauge",
        values: single(this.#workers.acceptingCount),
      },
      {
        name: "forklane_worker_crashes_total",
        help: "Workers that ended without having been told to.",
        type: "counter",
        values: single(this.#workers.crashes),
      },
      {
        name: "forklane_restarts_total",
        help: "Restarts that SIGHUP and SIGUSR2 asked for, done or refused.",
        type: "counter",
        values: Object.entries(this.#restarts).map(([outcome, value]) => ({
          value,
          labels: { outcome },
        })),
      },
    ];
  }

  /** SIGHUP: new workers, from the code and the configuration that are on disk now. */
  async #restart(): Promise<void> {
    if (!this.#isStarted || this.#isDraining || this.#isSucceeded) return;
    if (this.#isBusy) {
      this.#isRestartWanted = true;
      return;
    }
    this.#isBusy = true;
    this.#end("SIGHUP", await this.#restartWorkers());
  }

  /** Resolves with null once all workers are new, else with what is to be told. */
  async #restartWorkers(): Promise<string | null> {
    const read = this.#readAgain();
    if (!read.ok) return `refused, the workers go on as they are: ${read.error}`;
    this.#options.log.info("SIGHUP: each worker is replaced by a new one, one after the other");
    const before = this.#config;
    this.#config = { ...read.value.config, instance: before.instance };
    const fault = await this.#workers.restart(this.#workerSettings(read.value.settings));
    if (fault === null) return null;
    if (fault.isFirst) this.#config = before;
    const left = fault.isFirst ? "all workers go on" : "some are new, the others go on";
    return `given up, ${left}: a new worker cannot start: ${fault.message}`;
  }

  /** A restart is over, of the workers or of the whole; `fault` says why it came to nothing. */
  #end(signal: string, fault: string | null): void {
    const { log } = this.#options;
    this.#isBusy = false;
    if (this.#isDraining) return;
    this.#restarts[fault === null ? "done" : "refused"]++;
    if (fault === null) log.info(`${signal}: done`);
    else log.warn(`${signal}: ${fault}`);
    if (!this.#isRestartWanted) return;
    this.#isRestartWanted = false;
    void this.#restart();
  }

  #readAgain(): Result<{ readonly config: ProxyConfig; readonly settings: Settings }, string> {
    const { flags } = this.#options;
    const config = readProxyConfig(flags);
    if (!config.ok) return err(config.error.message);
    const settings = collectProxySettings(flags);
    if (!settings.ok) return err(settings.error.message);
    const changed =
      OWN_SETTINGS.find((name) => settings.value[name] !== this.#settings[name]) ??
      // Control sends their routes to who names them when it begins to watch.
      (calleeNames(config.value) === calleeNames(this.#config) ? undefined : "callees");
    if (changed === undefined) return ok({ config: config.value, settings: settings.value });
    return err(`${changed} has changed, which needs SIGUSR2 or a start of the whole`);
  }

  /** SIGUSR2: the next generation takes over, and this one drains; or goes on where it cannot. */
  async #handOver(): Promise<void> {
    const why = this.#whyNoSuccessor();
    if (why !== null) {
      this.#restarts.refused++;
      this.#options.log.warn(`SIGUSR2: refused: ${why}`);
      return;
    }
    this.#isBusy = true;
    const fault = await this.#startSuccessor();
    if (fault === null && !this.#isDraining) {
      this.#isSucceeded = true;
      this.#source.handOverMemory?.();
      // The next one answers at the same address from now on.
      await this.#admin?.stop();
      this.#succeed(this.#config.limits.retireMs);
    }
    this.#end("SIGUSR2", fault && `the new process does not take over, this one goes on: ${fault}`);
  }

  /** Resolves with null once the next generation takes connections; else with why it does not. */
  async #startSuccessor(): Promise<string | null> {
    try {
      const successor = new Successor({
        generation: (this.#inheritance?.generation ?? 1) + 1,
        listen: this.#listen,
        admin: this.#adminSocket,
      });
      this.#successor = successor;
      this.#options.log.info(`SIGUSR2: process ${successor.pid} is started, to take over`);
      const fault = await successor.ready;
      this.#successor = null;
      if (fault !== null) successor.kill();
      return fault;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #whyNoSuccessor(): string | null {
    if (!this.#isStarted || this.#isDraining || this.#isSucceeded)
      return "the proxy is starting or stopping";
    if (this.#isBusy) return "a restart is under way";
    if (process.pid !== 1) return null;
    return "as process 1 of a container this one cannot end without ending all; SIGHUP restarts the workers";
  }
}

/** Two generations are two proxies to control for a while, so their names differ. */
function instanceOf(
  settings: Settings,
  { instance }: ProxyConfig,
  inheritance: Inheritance | null,
): string {
  if (inheritance === null || settings["instance"] === undefined) return instance;
  const suffix = `.g${inheritance.generation}`;
  return `${instance.slice(0, 64 - suffix.length)}${suffix}`;
}
