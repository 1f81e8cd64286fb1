import type { ToWorker } from "./messages.ts";

/** Messages that may wait for a worker which does not read: more than one that reads ever has. */
const WAITING_MAX = 1_000;

/**
 * What is on its way to one worker, bounded: one that hangs costs no memory.
 *
 * Before: worker-process.ts. After: the channel of the child.
 * Invariant: what is left out has no answer, so that nothing counts as done: a question of figures
 * waits for its time, a flush stays open, and control says `complete: false`. Tables are one at a time
 * (table-relay.ts), batches too, and a stop is never left out.
 */
export class Outbox {
  readonly #send: (message: ToWorker, onSent: () => void) => void;
  #waiting = 0;
  readonly #onSent = () => {
    this.#waiting--;
  };

  constructor(send: (message: ToWorker, onSent: () => void) => void) {
    this.#send = send;
  }

  send(message: ToWorker): void {
    if (this.#waiting >= WAITING_MAX && mayBeLeftOut(message)) return;
    this.#waiting++;
    this.#send(message, this.#onSent);
  }
}

function mayBeLeftOut({ kind }: ToWorker): boolean {
  return kind === "ask" || kind === "flush" || kind === "observe";
}
