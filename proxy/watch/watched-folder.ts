import { type FSWatcher, watch } from "node:fs";
import { identityOf } from "./file-identity.ts";

/**
 * Tells of changes in the folder that a path leads to, also after the path leads to another one.
 *
 * Before: table-file.ts. Not on the request path.
 * Invariant: an event may be missing, since what is watched is a folder and not its name, and file systems
 * without events exist; whoever needs to know looks from time to time, too.
 */

/** Watches a folder; throws where that cannot be. */
export type WatchFolder = (folder: string, onChange: () => void) => FSWatcher;

/** What is watched, and who is told. */
export interface WatchedFolderOptions {
  readonly folder: string;
  onChange(): void;
  /** Told why there are no events; of the same reason once. */
  onFault(why: string): void;
  /** For tests: in place of `node:fs`. */
  readonly watch?: WatchFolder;
}

/** See above. */
export class WatchedFolder {
  readonly #options: WatchedFolderOptions;
  #watcher: FSWatcher | null = null;
  #watched = "";
  #toldFault = "";
  #isClosed = false;

  constructor(options: WatchedFolderOptions) {
    this.#options = options;
  }

  /** Watches what the path leads to now, unless it does already. */
  async look(): Promise<void> {
    const { folder, onChange, watch = watchFolder } = this.#options;
    const identity = await identityOf(folder);
    if (this.#isClosed || (this.#watcher !== null && identity === this.#watched)) return;
    this.#watcher?.close();
    this.#watcher = null;
    try {
      const watcher = watch(folder, onChange);
      watcher.on("error", (error) => this.#lose(watcher, error));
      this.#watcher = watcher;
      this.#watched = identity;
    } catch (error) {
      this.#tell(error);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
  }

  /** The next look tries again. */
  #lose(watcher: FSWatcher, error: unknown): void {
    watcher.close();
    if (this.#watcher === watcher) this.#watcher = null;
    this.#tell(error);
  }

  #tell(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    if (why === this.#toldFault) return;
    this.#toldFault = why;
    this.#options.onFault(why);
  }
}

function watchFolder(folder: string, onChange: () => void): FSWatcher {
  return watch(folder, { persistent: false }, onChange);
}
