import { err, ok, type Result } from "../../core/result.ts";
import { asStale, parseTable, type RoutingTable, unknownTable } from "../routing/table.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { changedTable } from "../watch/apply.ts";
import {
  BATCH_BYTES_MAX,
  OBSERVATIONS_BYTES_MAX,
  selectSeen,
  type TakenHops,
} from "../watch/report.ts";
import type { TableSource, TableSourceOptions } from "../watch/table-source.ts";
import type { FromWorker, TableMessage, ToWorker } from "./messages.ts";

/** How often a worker hands over what it holds, and its figures, in milliseconds. */
const HAND_OVER_MS = 250;
const FIGURES_MS = 1_000;

/** The way to the supervisor. */
export interface SupervisorChannel {
  /** Resolves once it is on its way; never rejects. */
  send(message: FromWorker): Promise<void>;
}

/**
 * The place of control in a worker: tables come from the supervisor, what is held goes to it.
 *
 * Before: proxy/worker.ts. After: proxy/proxy.ts, as any TableSource.
 * Invariants: hop records leave only when control has them or never will, one batch at a time, until a
 * stop: then the supervisor gets all; a flush is answered when all that was held at its beginning has
 * left; what is sent while the supervisor does not read is bounded, since figures wait for the ones before.
 */
export class WorkerSource implements TableSource {
  readonly #options: TableSourceOptions;
  readonly #metrics: Metrics;
  readonly #channel: SupervisorChannel;
  readonly #workload: string;
  readonly #firstTable = Promise.withResolvers<void>();
  readonly #flushes: { readonly id: string; left: number; isTaken: boolean }[] = [];
  #timers: NodeJS.Timeout[] = [];
  #table: RoutingTable | null = null;
  #out: TakenHops | null = null;
  #areFiguresSent = true;
  /** Of the observations, as told last. */
  #droppedTold = 0;
  #seenTold: ReadonlyMap<string, number> = new Map();

  constructor(
    workload: string,
    options: TableSourceOptions,
    metrics: Metrics,
    channel: SupervisorChannel,
  ) {
    this.#workload = workload;
    this.#options = options;
    this.#metrics = metrics;
    this.#channel = channel;
  }

  /** Resolves at the first table, even an unknown one: the supervisor has waited for a better one. */
  async start(): Promise<void> {
    this.#timers = [
      setInterval(() => this.#handOver(), HAND_OVER_MS).unref(),
      setInterval(() => this.#tellFigures(), FIGURES_MS).unref(),
    ];
    await this.#firstTable.promise;
  }

  /** Hands over all that is held, and the last figures; for control the supervisor waits. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#handOverObservations();
    this.#handOverRest();
    await this.#sendFigures(null);
  }

  notReady(): string | null {
    return this.#table === null ? "no routing table yet" : null;
  }

  facts(): Readonly<Record<string, unknown>> {
    return {};
  }

  readings(): Readonly<Record<string, never>> {
    return {};
  }

  /** Takes a message of the supervisor. */
  take(message: ToWorker): void {
    switch (message.kind) {
      case "table":
        this.#takeTable(message);
        return;
      case "settled":
        this.#settle();
        return;
      case "flush":
        this.#flushes.push({ id: message.id, left: this.#options.hops.held, isTaken: false });
        this.#handOver();
        return;
      case "observe":
        this.#options.observations.observeFor(message.forMs);
        return;
      case "ask":
        void this.#sendFigures(message.number);
        return;
      default:
        return;
    }
  }

  #takeTable(message: TableMessage): void {
    const { number, state } = message;
    const next = nextTable(this.#table, message, this.#workload);
    if (!next.ok) {
      // Not acknowledged, it holds the revision back.
      this.#options.log.warn(`a table of the supervisor is kept out: ${next.error}`);
      void this.#channel.send({ kind: "unfit", number });
      return;
    }
    this.#table = next.value;
    const known = state === "unknown" ? null : this.#table;
    if (known === null) this.#options.onTable(unknownTable([this.#workload]), null);
    else this.#options.onTable(state === "stale" ? asStale(known) : known, null);
    void this.#channel.send({ kind: "applied", number, revision: known?.revision ?? null });
    this.#firstTable.resolve();
  }

  /** Sends the next batch, unless one is out; what is left over of it follows when it is settled. */
  #handOver(): void {
    this.#handOverObservations();
    if (this.#out !== null) return;
    this.#out = this.#options.hops.take(BATCH_BYTES_MAX);
    for (const flush of this.#flushes) flush.isTaken = true;
    if (this.#out === null) this.#answerFlushes();
    else void this.#channel.send({ kind: "hops", ...this.#out });
  }

  /** All of them: a window is bounded. Once none is held, those that were left out are told, too. */
  #handOverObservations(): void {
    const { observations } = this.#options;
    for (;;) {
      const seen = observations.take(OBSERVATIONS_BYTES_MAX);
      const { dropped } = observations;
      if (seen === null && dropped === this.#droppedTold) return;
      void this.#channel.send({ kind: "observations", lines: seen?.lines ?? "", dropped });
      this.#droppedTold = dropped;
      if (seen !== null) observations.remove(seen.count, true);
    }
  }

  #settle(): void {
    const out = this.#out;
    if (out === null) return;
    this.#out = null;
    this.#options.hops.confirm(out);
    for (const flush of this.#flushes) flush.left -= out.count;
    this.#answerFlushes();
    if (this.#options.hops.held > 0 || this.#flushes.length > 0) this.#handOver();
  }

  /** Those for which all that was held has left, and something was looked for since they came. */
  #answerFlushes(): void {
    while (this.#flushes[0]?.isTaken === true && this.#flushes[0].left <= 0) {
      const flush = this.#flushes.shift();
      if (flush !== undefined) void this.#channel.send({ kind: "flushed", id: flush.id });
    }
  }

  /** Behind the batch that is out, which is the supervisor's by now. */
  #handOverRest(): void {
    const { hops } = this.#options;
    if (this.#out !== null) hops.confirm(this.#out);
    this.#out = null;
    for (let rest = hops.take(BATCH_BYTES_MAX); rest !== null; rest = hops.take(BATCH_BYTES_MAX)) {
      void this.#channel.send({ kind: "hops", ...rest });
      hops.confirm(rest);
    }
  }

  #tellFigures(): void {
    if (this.#areFiguresSent) void this.#sendFigures(null);
  }

  async #sendFigures(number: number | null): Promise<void> {
    const seen = selectSeen(this.#options.lastSeen(), this.#seenTold);
    this.#seenTold = seen.told;
    this.#areFiguresSent = false;
    await this.#channel.send({
      kind: "figures",
      number,
      counters: this.#options.counters(),
      lastSeen: seen.byKey,
      metrics: this.#metrics.samples(),
    });
    this.#areFiguresSent = true;
  }
}

/** The table that a message makes of the one that the worker has. */
function nextTable(
  table: RoutingTable | null,
  { document, changes }: TableMessage,
  workload: string,
): Result<RoutingTable | null, string> {
  if (document !== null) {
    return parseTable(JSON.parse(Buffer.from(document).toString()), workload);
  }
  let next = table;
  for (const change of changes) {
    const changed = next === null ? err("there is none to change") : changedTable(next, change);
    if (!changed.ok) return changed;
    next = changed.value;
  }
  return ok(next);
}
