import type { WatchLog } from "../watch/watch.ts";
import { BackOff } from "./back-off.ts";
import type { Settings } from "./messages.ts";
import { type WorkerFault, type WorkerOptions, WorkerProcess } from "./worker-process.ts";

/** What the workers need, and whom they tell. */
export interface WorkersOptions {
  readonly count: number;
  readonly settings: Settings;
  readonly log: WatchLog;
  /** How long what a replaced worker has may take, in milliseconds. */
  retireMs(): number;
  readonly worker: Pick<WorkerOptions, "entry" | "listenFd" | "onMessage" | "onOutput">;
  /** One was started; it takes no connections yet. */
  onStarted(worker: WorkerProcess): void;
  /** One has ended; `wasOrderly`: it was told to, and did. */
  onEnded(worker: WorkerProcess, wasOrderly: boolean): void;
}

/** Why a restart was given up; `isFirst`: before any worker was replaced. */
export interface RestartFault {
  readonly message: string;
  readonly isFirst: boolean;
}

/** A place among the workers: who has it, and who is to have it next. */
interface Place {
  readonly index: number;
  readonly backOff: BackOff;
  worker: WorkerProcess | null;
  successor: WorkerProcess | null;
  /** Who had it before, and finishes what it has. */
  former: WorkerProcess | null;
  /** Runs while the place waits for its next worker. */
  timer: NodeJS.Timeout | null;
}

/**
 * Keeps as many workers as there are places: starts them, replaces who crashed, restarts all in turn.
 *
 * Before: supervisor.ts. After: worker-process.ts.
 * Invariants: in a restart a place changes hands when the successor takes connections, not before; a
 * place is filled again at once after a crash, ever later where the next one crashes too.
 */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #places: readonly Place[];
  /** Everybody who has not ended, those who drain included. */
  readonly #alive = new Set<WorkerProcess>();
  #settings: Settings;
  #isStarted = false;
  #isStopping = false;
  /** Ended without having been told to, since the start. */
  crashes = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#places = Array.from({ length: options.count }, (_, at) => ({
      index: at + 1,
      backOff: new BackOff(),
      worker: null,
      successor: null,
      former: null,
      timer: null,
    }));
  }

  /** How many take new connections. */
  get acceptingCount(): number {
    return this.alive.filter(({ state }) => state === "accepting").length;
  }

  /** Everybody who has not ended. */
  get alive(): WorkerProcess[] {
    return [...this.#alive];
  }

  /** Starts all; resolves with null once all take connections, else why one does not. */
  async start(): Promise<WorkerFault | null> {
    const faults = await Promise.all(
      this.#places.map((place) => {
        place.worker = this.#startOne(place);
        return this.#untilAccepting(place.worker);
      }),
    );
    const first = faults.find((fault) => fault !== null) ?? null;
    // In a drain some have connections to finish.
    if (first !== null && !this.#isStopping) this.kill();
    this.#isStarted = true;
    return first;
  }

  /**
   * Gives each place a new worker with these settings, one place after the other: the former drains
   * once the new one takes connections. While a place still has one that drains it waits: there are
   * never more than two for each. Resolves with why it was given up, null if it was not: then the
   * places that are left keep the workers that they have.
   */
  async restart(settings: Settings): Promise<RestartFault | null> {
    for (const place of this.#places) {
      const fault = await this.#restartOne(place, settings);
      if (this.#isStopping) return null;
      if (fault !== null) {
        if (place.worker === null) this.#fill(place);
        return { message: fault.message, isFirst: place.index === 1 };
      }
      // Not before: where the first of them does not start, nobody runs with these settings.
      this.#settings = settings;
    }
    return null;
  }

  /**
   * Everybody finishes what is in progress, and ends; who does not in time is killed. One that has not
   * said yet that it takes connections may have some. Asked again it may bring the deadline forward.
   */
  async drain(accepts: boolean, withinMs: number): Promise<void> {
    this.#stop();
    for (const worker of this.#alive) worker.drain(accepts, withinMs);
    await Promise.all([...this.#alive].map((worker) => worker.ended));
  }

  /** Ends everybody without a word. */
  kill(): void {
    this.#stop();
    for (const worker of this.#alive) worker.kill();
  }

  #stop(): void {
    this.#isStopping = true;
    for (const place of this.#places) {
      if (place.timer !== null) clearTimeout(place.timer);
    }
  }

  #startOne(place: Place, settings = this.#settings): WorkerProcess {
    const { worker: parts, onStarted, onEnded } = this.#options;
    const worker = new WorkerProcess({ ...parts, settings, index: place.index });
    this.#alive.add(worker);
    onStarted(worker);
    void worker.ended.then((how) => {
      this.#alive.delete(worker);
      const wasOrderly = worker.isDraining && how === null;
      onEnded(worker, wasOrderly);
      if (place.worker === worker) this.#lost(place, worker, how);
    });
    return worker;
  }

  async #untilAccepting(worker: WorkerProcess): Promise<WorkerFault | null> {
    const fault = await worker.accepting;
    if (fault !== null) worker.kill();
    return fault;
  }

  async #restartOne(place: Place, settings: Settings): Promise<WorkerFault | null> {
    await place.former?.ended;
    if (this.#isStopping) return null;
    if (place.timer !== null) clearTimeout(place.timer);
    place.timer = null;
    const successor = this.#startOne(place, settings);
    place.successor = successor;
    const fault = await this.#untilAccepting(successor);
    place.successor = null;
    if (fault !== null || this.#isStopping) return fault;
    if (successor.hasEnded)
      return { message: "it ended as soon as it took connections", exitCode: 1 };
    place.former = place.worker;
    place.worker = successor;
    place.former?.drain(false, this.#options.retireMs());
    return null;
  }

  /** The worker of a place is gone, and nobody told it to go. */
  #lost(place: Place, worker: WorkerProcess, how: string | null): void {
    place.worker = null;
    // At the start nothing is begun anew: `start` says why one does not take connections.
    if (this.#isStopping || (!this.#isStarted && !worker.hasServed)) return;
    this.crashes++;
    const waitMs = place.backOff.next(performance.now() - worker.startedAtMs);
    const { inRow } = place.backOff;
    const again =
      waitMs === 0 ? "another is started" : `${inRow} in a row: another in ${waitMs} ms`;
    const lost = worker.hasServed
      ? "its connections are lost, what waits to be accepted is not"
      : "it had none";
    this.#options.log.warn(
      `worker ${worker.index} (process ${worker.pid}) ended unasked (${how ?? "exit 0"}): ${lost}; ${again}`,
    );
    if (place.successor !== null) return;
    if (waitMs === 0) this.#fill(place);
    else place.timer = setTimeout(() => this.#fill(place), waitMs);
  }

  #fill(place: Place): void {
    if (this.#isStopping || place.worker !== null) return;
    place.timer = null;
    const worker = this.#startOne(place);
    place.worker = worker;
    void this.#untilAccepting(worker).then((fault) => {
      if (fault !== null && !this.#isStopping) {
        this.#options.log.warn(`worker ${place.index} cannot start: ${fault.message}`);
      }
    });
  }
}
