const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The user's wish to stop: the first signal asks, a second one insists. */
export class StopRequest {
  readonly #begun = Promise.withResolvers<null>();
  readonly #insist: () => void;
  #isBegun = false;
  readonly #listener = () => this.#signalled();

  /** `insist` is called on every signal after the first. */
  constructor(insist: () => void) {
    this.#insist = insist;
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  /** Resolves with the first signal. */
  get begun(): Promise<null> {
    return this.#begun.promise;
  }

  /** Gives the signals back. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }

  #signalled(): void {
    if (this.#isBegun) this.#insist();
    this.#isBegun = true;
    this.#begun.resolve(null);
  }
}
