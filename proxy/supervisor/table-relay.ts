import { type RoutingTable, toDocument } from "../routing/table.ts";
import type { TableChange } from "../watch/apply.ts";
import type { TableMessage } from "./messages.ts";

/** Changes kept for workers that lag; who lags further gets the whole table. */
const CHANGES_MAX = 256;
const CHANGES_CHARS_MAX = 512 * 1024;

/** A worker, as far as its table is concerned. */
export interface TableTaker {
  send(message: TableMessage): void;
}

/** What one worker has of the tables. */
interface Standing {
  /** The message that is under way; null: none is. */
  sent: TableMessage | null;
  /** Number of the last one that it applied; 0: none. */
  applied: number;
  /** Number of the last whole one that it could not read; 0: none. */
  refused: number;
  /** Of the last one that it applied; undefined before the first. */
  revision: string | null | undefined;
}

/** How the table of this number came from the one before; null: it says the same. */
interface Step {
  readonly number: number;
  readonly change: TableChange | null;
}

/**
 * Hands the newest table to each worker, as bytes, and knows which one each has applied.
 *
 * Before: supervisor.ts. After: worker-source.ts, in the worker.
 * Invariants: one message is under way to a worker, and the newest follows it, so that a slow worker
 * costs no memory; nobody gets an older table after a newer one. What control sent as a change is
 * passed on as that change: while a worker reads a table of 10,000 keys anew it serves nobody.
 */
export class TableRelay {
  readonly #standing = new Map<TableTaker, Standing>();
  #number = 0;
  #table: RoutingTable | null = null;
  /** The steps to the newest table from the one of number `#stepsFrom`, oldest first. */
  readonly #steps: Step[] = [];
  #stepsFrom = 0;
  #stepsChars = 0;
  /** The newest table as bytes, once somebody needs it whole. */
  #document: { readonly number: number; readonly bytes: Buffer } | null = null;

  /** Whether there is something to hand on. */
  get hasTable(): boolean {
    return this.#number > 0;
  }

  /** This is the table from now on; `change` as in WatchOptions.onTable. */
  take(table: RoutingTable, change: TableChange | "state" | null): void {
    this.#number++;
    this.#table = table;
    if (change === null) this.#forgetSteps(this.#steps.length, this.#number);
    else this.#addStep({ number: this.#number, change: change === "state" ? null : change });
    for (const worker of this.#standing.keys()) this.#deliver(worker);
  }

  /** From now on this worker gets every table; the newest at once, if there is one. */
  add(worker: TableTaker): void {
    this.#standing.set(worker, { sent: null, applied: 0, refused: 0, revision: undefined });
    this.#deliver(worker);
  }

  remove(worker: TableTaker): void {
    this.#standing.delete(worker);
  }

  /** The worker has applied the table that was sent last. */
  applied(worker: TableTaker, number: number, revision: string | null): void {
    const standing = this.#standing.get(worker);
    if (standing?.sent?.number !== number) return;
    standing.sent = null;
    standing.applied = number;
    standing.revision = revision;
    this.#deliver(worker);
  }

  /**
   * The worker cannot use what was sent last: changes, and it gets the whole table; or that, and it
   * gets the next one.
   */
  unfit(worker: TableTaker, number: number): void {
    const standing = this.#standing.get(worker);
    if (standing?.sent?.number !== number) return;
    if (standing.sent.document !== null) standing.refused = number;
    standing.sent = null;
    standing.applied = 0;
    this.#deliver(worker);
  }

  /** Revision that the worker routes by; null before its first table. */
  revisionOf(worker: TableTaker): string | null {
    return this.#standing.get(worker)?.revision ?? null;
  }

  /** Revision of each worker that routes by one: it may take connections before it can say so. */
  get revisions(): (string | null)[] {
    return this.#routing.map(({ revision = null }) => revision);
  }

  /** Whether all of those have the newest table, and there is one at all. */
  get isApplied(): boolean {
    const routing = this.#routing;
    return routing.length > 0 && routing.every(({ applied }) => applied === this.#number);
  }

  get #routing(): Standing[] {
    return [...this.#standing.values()].filter(({ revision }) => revision !== undefined);
  }

  #addStep(step: Step): void {
    this.#steps.push(step);
    this.#stepsChars += charsOf(step);
    while (this.#steps.length > CHANGES_MAX || this.#stepsChars > CHANGES_CHARS_MAX) {
      this.#forgetSteps(1, this.#steps[0]?.number ?? 0);
    }
  }

  /** Forgets the oldest `count`; those that are left lead on from the table of number `from`. */
  #forgetSteps(count: number, from: number): void {
    for (const step of this.#steps.splice(0, count)) this.#stepsChars -= charsOf(step);
    this.#stepsFrom = from;
  }

  #deliver(worker: TableTaker): void {
    const standing = this.#standing.get(worker);
    const table = this.#table;
    if (standing === undefined || table === null || standing.sent !== null) return;
    if (standing.applied === this.#number || standing.refused === this.#number) return;
    const { number, document, changes } = this.#messageAfter(standing.applied, table);
    standing.sent = { kind: "table", number, state: table.state, document, changes };
    worker.send(standing.sent);
  }

  /** What makes the newest table of the one that has this number. */
  #messageAfter(
    applied: number,
    table: RoutingTable,
  ): Pick<TableMessage, "number" | "document" | "changes"> {
    const number = this.#number;
    if (table.state === "unknown") return { number, document: null, changes: [] };
    if (applied === 0 || applied < this.#stepsFrom) {
      return { number, document: this.#bytesOf(table), changes: [] };
    }
    const steps = this.#steps.filter((step) => step.number > applied);
    const changes = steps.flatMap(({ change }) => (change === null ? [] : [change]));
    return { number, document: null, changes };
  }

  #bytesOf(table: RoutingTable): Buffer {
    if (this.#document?.number !== this.#number) {
      const bytes = Buffer.from(JSON.stringify(toDocument(table)));
      this.#document = { number: this.#number, bytes };
    }
    return this.#document.bytes;
  }
}

function charsOf({ change }: Step): number {
  return change?.data.length ?? 0;
}
