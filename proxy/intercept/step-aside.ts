import {
  applyPlan,
  FAMILIES,
  type PlanOptions,
  planInterception,
  whereProxyListens,
} from "./apply.ts";
import type { Family, InterceptionSettings } from "./rules.ts";

/** How often it is looked whether the proxy listens, in milliseconds. */
export const ASIDE_POLL_MS = 200;

/** How the rules stand. */
export interface Standing {
  /** The IP versions that are led to the proxy; the others go to the service. */
  readonly inPlace: readonly Family[];
  readonly aside: readonly Family[];
  /** Why some are aside although the proxy listens; null where that is not so. */
  readonly note: string | null;
}

/**
 * Rules that step aside: they lead to the proxy while it listens, and to the service while it does
 * not, each IP version by itself.
 *
 * REDIRECT cannot do that by itself, so a process looks. Between the end of the proxy and the next
 * look new connections are refused. The look is at the kernel's table of listening sockets: no
 * connection is made. Calls `onChange` each time, also for the first.
 */
export class SteppingRules {
  readonly #settings: InterceptionSettings;
  readonly #backend: PlanOptions["backend"];
  readonly #onChange: (standing: Standing) => void;
  readonly #onError: (error: unknown) => void;
  #standing: Standing | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    settings: InterceptionSettings,
    backend: PlanOptions["backend"],
    onChange: (standing: Standing) => void,
    onError: (error: unknown) => void,
  ) {
    this.#settings = settings;
    this.#backend = backend;
    this.#onChange = onChange;
    this.#onError = onError;
  }

  /** Whether rules were written. */
  get isStarted(): boolean {
    return this.#standing !== null;
  }

  /** Writes the rules for the first time; throws an InterceptError where that cannot be. */
  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#lookAgain(), ASIDE_POLL_MS);
  }

  /** Looks no more. The rules stay as they are. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #lookAgain(): void {
    try {
      this.#look();
    } catch (error) {
      this.#onError(error);
    }
  }

  #look(): void {
    const { served, unserved } = whereProxyListens(this.#settings);
    const aside = FAMILIES.filter((family) => !served.includes(family));
    const standing = { inPlace: served, aside, note: unserved?.note ?? null };
    const before = this.#standing;
    if (before !== null && isSame(before, standing)) return;
    if (before?.inPlace.join() !== served.join()) {
      const options = { backend: this.#backend, taken: served };
      applyPlan(planInterception(this.#settings, options));
    }
    this.#standing = standing;
    this.#onChange(standing);
  }
}

function isSame(a: Standing, b: Standing): boolean {
  return a.inPlace.join() === b.inPlace.join() && a.note === b.note;
}
