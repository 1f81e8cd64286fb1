import { applyPlan, type PlanOptions, planInterception } from "./apply.ts";
import { listeners } from "./machine.ts";
import { type InterceptionSettings, proxyPorts } from "./rules.ts";

/** How often it is looked whether the proxy listens, in milliseconds. */
export const ASIDE_POLL_MS = 200;

/**
 * Rules that step aside: they lead to the proxy while it listens, and to the service while it does not.
 *
 * REDIRECT cannot do that by itself, so a process looks. Between the end of the proxy and the next
 * look new connections are refused. The look is at the kernel's table of listening sockets: no
 * connection is made. Calls `onChange` each time, also for the first.
 */
export class SteppingRules {
  readonly #settings: InterceptionSettings;
  readonly #backend: PlanOptions["backend"];
  readonly #onChange: (isInPlace: boolean) => void;
  readonly #onError: (error: unknown) => void;
  #isInPlace: boolean | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    settings: InterceptionSettings,
    backend: PlanOptions["backend"],
    onChange: (isInPlace: boolean) => void,
    onError: (error: unknown) => void,
  ) {
    this.#settings = settings;
    this.#backend = backend;
    this.#onChange = onChange;
    this.#onError = onError;
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
    const { uid } = this.#settings;
    const hasJumps = proxyPorts(this.#settings).every((port) => listeners(port).includes(uid));
    if (hasJumps === this.#isInPlace) return;
    applyPlan(planInterception(this.#settings, { backend: this.#backend, hasJumps }));
    this.#isInPlace = hasJumps;
    this.#onChange(hasJumps);
  }
}
