import type { Commit } from "./store.ts";

/** Those who are told of commits, in the order in which they asked. */
export class CommitListeners {
  readonly #listeners = new Set<(commit: Commit) => void>();

  subscribe(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(commit: Commit): void {
    for (const listener of this.#listeners) listener(commit);
  }
}
