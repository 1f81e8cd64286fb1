/**
 * Asks every proxy for the hop records that it holds, and waits for the answers.
 *
 * Before: routes/traces.ts. After: watch/watchers.ts asks; routes/hops.ts brings the answers.
 * Invariants: a proxy counts as asked and answered only if its batch names this very flush; whoever
 * watches is asked, whether it has posted a status or not.
 */
import type { ControlLimits } from "../model/limits.ts";
import { randomId } from "../store/resource-set.ts";
import type { Proxies } from "./proxies.ts";
import type { Watchers } from "./watchers.ts";

/** Who answered a flush and who did not. */
export interface FlushOutcome {
  readonly answered: readonly string[];
  /** Proxies that did not answer, or count and could not be asked. */
  readonly silent: readonly string[];
}

interface Round {
  readonly waiting: Set<string>;
  readonly answered: string[];
  readonly silent: string[];
  readonly over: () => void;
}

export class Flushes {
  readonly #watchers: Watchers;
  readonly #proxies: Proxies;
  readonly #limits: ControlLimits;
  readonly #rounds = new Map<string, Round>();
  #next: Promise<FlushOutcome> | null = null;

  constructor(watchers: Watchers, proxies: Proxies, limits: ControlLimits) {
    this.#watchers = watchers;
    this.#proxies = proxies;
    this.#limits = limits;
  }

  /** Asks now, or shares a round that begins after this call; ends after `flushMs` at the latest. */
  flush(): Promise<FlushOutcome> {
    this.#next ??= new Promise((resolve) => {
      setTimeout(() => {
        this.#next = null;
        this.#begin(resolve);
      }, this.#limits.flushGatherMs);
    });
    return this.#next;
  }

  /** A batch that names a flush has come from a proxy. */
  answered(flushId: string, instance: string): void {
    const round = this.#rounds.get(flushId);
    if (round === undefined || !round.waiting.delete(instance)) return;
    round.answered.push(instance);
    if (round.waiting.size === 0) round.over();
  }

  /** A proxy has left, having sent what it had. */
  left(instance: string): void {
    for (const id of this.#rounds.keys()) this.answered(id, instance);
  }

  /** Ends all rounds as they stand. */
  close(): void {
    for (const round of this.#rounds.values()) round.over();
  }

  #begin(resolve: (outcome: FlushOutcome) => void): void {
    const id = randomId();
    const round: Round = {
      waiting: new Set(),
      answered: [],
      silent: [],
      over: () => {
        clearTimeout(timer);
        this.#rounds.delete(id);
        resolve({ answered: round.answered, silent: [...round.silent, ...round.waiting] });
      },
    };
    const timer = setTimeout(round.over, this.#limits.flushMs);
    for (const instance of this.#proxies.watchers()) round.waiting.add(instance);
    for (const { counts, connected, instance } of this.#proxies.all()) {
      if (counts && !connected) round.silent.push(instance);
    }
    this.#rounds.set(id, round);
    if (round.waiting.size === 0) round.over();
    else this.#watchers.flush(id);
  }
}
